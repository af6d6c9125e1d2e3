//! PROXY protocol headers: the gate against a second reader of the addresses, at their fixed offsets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kinesis_gate::listener::ProxyHeader;

const PREFIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub fn check(input: &[u8]) {
    let Ok(header) = ProxyHeader::parse(input) else {
        return;
    };
    // A header ends where its length says: with one more byte it is invalid.
    let longer = [input, b"\x16"].concat();
    assert!(ProxyHeader::parse(&longer).is_err());
    let ProxyHeader::Client { address, vpce_id } = header else {
        return;
    };
    assert_eq!(address, address.to_canonical());
    match input.strip_prefix(PREFIX) {
        Some(rest) => {
            // PROXY, not LOCAL; TCP over IPv4 or IPv6; the source is the first address.
            assert_eq!(rest[0], 0x21);
            let source: IpAddr = match rest[1] {
                0x11 => Ipv4Addr::from(<[u8; 4]>::try_from(&rest[4..8]).unwrap()).into(),
                0x21 => Ipv6Addr::from(<[u8; 16]>::try_from(&rest[4..20]).unwrap()).into(),
                other => panic!("a client over {other:#x}"),
            };
            assert_eq!(address, source.to_canonical());
            if let Some(id) = vpce_id {
                let id = id.as_bytes();
                assert!(id.starts_with(b"vpce-") && id.is_ascii());
                assert!(rest.windows(id.len()).any(|window| window == id));
            }
        }
        None => {
            let line = std::str::from_utf8(input).unwrap();
            assert!(line.starts_with("PROXY TCP") && line.ends_with("\r\n"));
            let source: IpAddr = line.split(' ').nth(2).unwrap().parse().unwrap();
            assert_eq!(address, source.to_canonical());
            assert!(vpce_id.is_none());
        }
    }
}
