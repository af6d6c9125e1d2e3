//! The PROXY protocol: a load balancer's header about its client, before the first byte of TLS.
//!
//! Versions 1 and 2 of <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, with AWS's
//! TLV of version 2
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol>).
//! No byte after the header is read.

use std::fmt;
use std::io;
use std::net::IpAddr;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::config::ProxyProtocol;
use crate::observe::DropReason;

/// A PROXY protocol header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `LOCAL` or `UNKNOWN`: the load balancer's own connection, or one whose client it does not
    /// know.
    Local,
    /// A client's connection.
    Client {
        /// The address of the client.
        address: IpAddr,
        /// The VPC endpoint of the connection, if the load balancer is behind one.
        vpce_id: Option<String>,
    },
}

/// The reason that a connection is refused before TLS.
#[derive(Debug)]
pub(super) enum ProxyError {
    /// The source of the header is not listed.
    UntrustedSource,
    /// There is no header.
    Missing,
    /// The header is malformed, for this reason.
    Malformed(String),
    /// The connection ended before its first byte: a probe of the port.
    Empty,
}

/// The longest header of version 1, with its line end.
const V1_MAX: usize = 107;
/// The fixed part of version 2.
const V2_FIXED: usize = 16;
/// The longest variable part of version 2 that is read. Load balancers send less than 300 bytes.
const V2_MAX: usize = 4096;
/// AWS's TLV type, and its subtype for a VPC endpoint's id (`PP2_TYPE_AWS`,
/// `PP2_SUBTYPE_AWS_VPCE_ID`).
const PP2_TYPE_AWS: u8 = 0xEA;
const PP2_SUBTYPE_AWS_VPCE_ID: u8 = 0x01;

/// Reads the header; `None` if there is no header and none is required.
pub(super) async fn read(
    tcp: &mut TcpStream,
    source: IpAddr,
    rules: &ProxyProtocol,
) -> Result<Option<ProxyHeader>, ProxyError> {
    let mut first = [0];
    match tcp.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(ProxyError::Empty),
        Ok(_) => {}
    }
    // A TLS record begins with neither byte.
    let version = match first {
        [b'P'] => 1,
        [b'\r'] => 2,
        _ if rules.is_required => return Err(ProxyError::Missing),
        _ => return Ok(None),
    };
    if !rules.from.iter().any(|network| network.contains(&source)) {
        return Err(ProxyError::UntrustedSource);
    }
    let header = match version {
        1 => read_v1(tcp).await,
        _ => read_v2(tcp).await,
    };
    let header = header.and_then(|bytes| ProxyHeader::parse(&bytes));
    header.map(Some).map_err(ProxyError::Malformed)
}

/// The bytes of a version 1 header: one line, peeked at before it is consumed.
async fn read_v1(tcp: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut header = Vec::with_capacity(V1_MAX);
    while !header.ends_with(b"\n") {
        let mut peeked = [0; V1_MAX];
        let start = header.len();
        let peeked = peeked.get_mut(start..).unwrap_or_default();
        if peeked.is_empty() {
            return Err("its line has no end".to_owned());
        }
        let count = tcp.peek(peeked).await.map_err(truncated)?;
        let peeked = peeked.get(..count).unwrap_or_default();
        let line = memchr::memchr(b'\n', peeked).map_or(count, |end| end + 1);
        if line == 0 {
            return Err(truncated(io::ErrorKind::UnexpectedEof.into()));
        }
        header.resize(start + line, 0);
        let rest = header.get_mut(start..).unwrap_or_default();
        tcp.read_exact(rest).await.map_err(truncated)?;
    }
    Ok(header)
}

/// The bytes of a version 2 header, which contains its own length.
async fn read_v2(tcp: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut header = vec![0; V2_FIXED];
    tcp.read_exact(&mut header).await.map_err(truncated)?;
    let len = match header.as_slice() {
        [prefix @ .., _, _, high, low] if prefix == v2::PROTOCOL_PREFIX => {
            usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => return Err("it begins as no header does".to_owned()),
    };
    if len > V2_MAX {
        return Err(format!("it says it has {len} bytes; {V2_MAX} are read"));
    }
    header.resize(V2_FIXED + len, 0);
    let rest = header.get_mut(V2_FIXED..).unwrap_or_default();
    tcp.read_exact(rest).await.map_err(truncated)?;
    Ok(header)
}

impl ProxyHeader {
    /// Reads a header from exactly the bytes given.
    ///
    /// # Errors
    /// The reason that the header is malformed.
    pub fn parse(header: &[u8]) -> Result<ProxyHeader, String> {
        if header.starts_with(v2::PROTOCOL_PREFIX) {
            let parsed = v2::Header::try_from(header).map_err(|error| error.to_string())?;
            check_length(header, parsed.as_bytes().len())?;
            from_v2(&parsed)
        } else {
            // The parser accepts a carriage return as a space.
            let line = header.strip_suffix(b"\r\n");
            if line.is_none_or(|line| memchr::memchr2(b'\r', b'\n', line).is_some()) {
                return Err("it is not one line".to_owned());
            }
            let parsed = v1::Header::try_from(header).map_err(|error| error.to_string())?;
            check_length(header, parsed.header.len())?;
            Ok(match parsed.addresses {
                v1::Addresses::Unknown => ProxyHeader::Local,
                v1::Addresses::Tcp4(addresses) => client(addresses.source_address.into(), None),
                v1::Addresses::Tcp6(addresses) => client(addresses.source_address.into(), None),
            })
        }
    }
}

fn from_v2(header: &v2::Header<'_>) -> Result<ProxyHeader, String> {
    if header.command == v2::Command::Local {
        return Ok(ProxyHeader::Local);
    }
    let address = match (header.protocol, header.addresses) {
        (v2::Protocol::Stream, v2::Addresses::IPv4(addresses)) => addresses.source_address.into(),
        (v2::Protocol::Stream, v2::Addresses::IPv6(addresses)) => addresses.source_address.into(),
        _ => return Err("it names no TCP client".to_owned()),
    };
    let mut vpce_id = None;
    for tlv in header.tlvs() {
        let tlv = tlv.map_err(|error| error.to_string())?;
        match (tlv.kind, tlv.value.split_first()) {
            (PP2_TYPE_AWS, Some((&PP2_SUBTYPE_AWS_VPCE_ID, id))) => {
                if vpce_id.is_some() {
                    return Err("it names two VPC endpoints".to_owned());
                }
                vpce_id = Some(parse_vpce_id(id)?);
            }
            (PP2_TYPE_AWS, None) => return Err("AWS's element is empty".to_owned()),
            // Checksums, paddings and other types that describe no client.
            _ => {}
        }
    }
    Ok(client(address, vpce_id))
}

fn client(address: IpAddr, vpce_id: Option<String>) -> ProxyHeader {
    let address = address.to_canonical();
    ProxyHeader::Client { address, vpce_id }
}

fn parse_vpce_id(id: &[u8]) -> Result<String, String> {
    let legal = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    match std::str::from_utf8(id) {
        Ok(text) if text.starts_with("vpce-") && id.iter().all(legal) => Ok(text.to_owned()),
        _ => Err("what it has for a VPC endpoint's id is none".to_owned()),
    }
}

fn check_length(header: &[u8], parsed: usize) -> Result<(), String> {
    if header.len() == parsed {
        Ok(())
    } else {
        Err("bytes follow it".to_owned())
    }
}

fn truncated(error: io::Error) -> String {
    format!("it is cut off: {error}")
}

impl ProxyError {
    /// The label of the dropped connection; `None` if the connection is not logged.
    pub(super) fn drop_reason(&self) -> Option<DropReason> {
        match self {
            ProxyError::UntrustedSource => Some(DropReason::ProxySource),
            ProxyError::Missing => Some(DropReason::ProxyMissing),
            ProxyError::Malformed(_) => Some(DropReason::ProxyMalformed),
            ProxyError::Empty => None,
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::UntrustedSource => f.write_str(
                "a PROXY header from an address that `proxy-protocol.from` does not list",
            ),
            ProxyError::Missing => f.write_str("no PROXY header, which this listener requires"),
            ProxyError::Malformed(why) => write!(f, "a malformed PROXY header: {why}"),
            ProxyError::Empty => f.write_str("nothing was sent"),
        }
    }
}
