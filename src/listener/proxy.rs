//! The PROXY protocol: a load balancer's word about its client, before a connection's first byte.
//!
//! Versions 1 and 2 of <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, with AWS's
//! own element of version 2
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol>).
//! Exactly the header is taken from the connection: the byte after it is TLS's first.

use std::fmt;
use std::io;
use std::net::IpAddr;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::config::ProxyProtocol;
use crate::observe::DropReason;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// The load balancer's own connection, or one whose client it does not know: `LOCAL`,
    /// `UNKNOWN`.
    Own,
    /// A client's.
    Client {
        /// The client's address.
        peer: IpAddr,
        /// The VPC endpoint that it came through, if the load balancer is behind one.
        vpce: Option<String>,
    },
}

/// Why a connection's beginning is refused.
#[derive(Debug)]
pub(super) enum Unannounced {
    /// Its source is not listed.
    Source,
    /// It has no header.
    Missing,
    /// What it has is none.
    Malformed(Malformed),
    /// It ended before its first byte: somebody looked whether the port is open.
    Nothing,
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

/// The longest header of version 1, with its line's end.
const V1_LONGEST: usize = 107;
/// The fixed part of version 2.
const V2_HEAD: usize = 16;
/// The longest rest of version 2 that is read. Load balancers send less than 300 bytes.
const V2_LONGEST: usize = 4096;
/// AWS's element, and its kind that holds a VPC endpoint's id (`PP2_TYPE_AWS`,
/// `PP2_SUBTYPE_AWS_VPCE_ID`).
const AWS: u8 = 0xEA;
const AWS_VPCE_ID: u8 = 0x01;

/// Reads what comes before TLS. `None` where nothing does and nothing must.
pub(super) async fn read(
    tcp: &mut TcpStream,
    peer: IpAddr,
    rules: &ProxyProtocol,
) -> Result<Option<Announced>, Unannounced> {
    let mut first = [0];
    match tcp.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(Unannounced::Nothing),
        Ok(_) => {}
    }
    // A TLS record begins with neither.
    let version = match first {
        [b'P'] => 1,
        [b'\r'] => 2,
        _ if rules.required => return Err(Unannounced::Missing),
        _ => return Ok(None),
    };
    if !rules.from.iter().any(|network| network.contains(&peer)) {
        return Err(Unannounced::Source);
    }
    let header = match version {
        1 => take_v1(tcp).await,
        _ => take_v2(tcp).await,
    };
    let header = header.map_err(Unannounced::Malformed)?;
    let announced = Announced::parse(&header).map_err(Unannounced::Malformed)?;
    Ok(Some(announced))
}

/// The bytes of a header of version 1. It ends with its line: only bytes that have been seen to be
/// of that line are taken.
async fn take_v1(tcp: &mut TcpStream) -> Result<Vec<u8>, Malformed> {
    let mut header = Vec::with_capacity(V1_LONGEST);
    while !header.ends_with(b"\n") {
        let mut seen = [0; V1_LONGEST];
        let room = V1_LONGEST - header.len();
        let seen = seen.get_mut(..room).unwrap_or_default();
        if seen.is_empty() {
            return Err(Malformed("its line has no end".to_owned()));
        }
        let some = tcp.peek(seen).await.map_err(cut_off)?;
        let seen = seen.get(..some).unwrap_or_default();
        let line = match memchr::memchr(b'\n', seen) {
            Some(end) => end + 1,
            None => some,
        };
        if line == 0 {
            return Err(cut_off(io::ErrorKind::UnexpectedEof.into()));
        }
        let from = header.len();
        header.resize(from + line, 0);
        let fresh = header.get_mut(from..).unwrap_or_default();
        tcp.read_exact(fresh).await.map_err(cut_off)?;
    }
    Ok(header)
}

/// The bytes of a header of version 2, which says its length.
async fn take_v2(tcp: &mut TcpStream) -> Result<Vec<u8>, Malformed> {
    let mut header = vec![0; V2_HEAD];
    tcp.read_exact(&mut header).await.map_err(cut_off)?;
    let len = match header.as_slice() {
        [prefix @ .., _, _, high, low] if prefix == v2::PROTOCOL_PREFIX => {
            usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => return Err(Malformed("it begins as no header does".to_owned())),
    };
    if len > V2_LONGEST {
        return Err(Malformed(format!(
            "it says it has {len} bytes; {V2_LONGEST} are read"
        )));
    }
    header.resize(V2_HEAD + len, 0);
    let rest = header.get_mut(V2_HEAD..).unwrap_or_default();
    tcp.read_exact(rest).await.map_err(cut_off)?;
    Ok(header)
}

impl Announced {
    /// Reads a whole header, and nothing but it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(header: &[u8]) -> Result<Announced, Malformed> {
        if header.starts_with(v2::PROTOCOL_PREFIX) {
            let parsed = v2::Header::try_from(header).map_err(malformed)?;
            whole(header, parsed.as_bytes().len())?;
            of_v2(&parsed)
        } else {
            // The parser takes a carriage return for a space.
            let line = header.strip_suffix(b"\r\n");
            if line.is_none_or(|line| memchr::memchr2(b'\r', b'\n', line).is_some()) {
                return Err(Malformed("it is not one line".to_owned()));
            }
            let parsed = v1::Header::try_from(header).map_err(malformed)?;
            whole(header, parsed.header.len())?;
            Ok(match parsed.addresses {
                v1::Addresses::Unknown => Announced::Own,
                v1::Addresses::Tcp4(addresses) => client(addresses.source_address.into(), None),
                v1::Addresses::Tcp6(addresses) => client(addresses.source_address.into(), None),
            })
        }
    }
}

fn of_v2(header: &v2::Header<'_>) -> Result<Announced, Malformed> {
    if header.command == v2::Command::Local {
        return Ok(Announced::Own);
    }
    let peer: IpAddr = match (header.protocol, header.addresses) {
        (v2::Protocol::Stream, v2::Addresses::IPv4(addresses)) => addresses.source_address.into(),
        (v2::Protocol::Stream, v2::Addresses::IPv6(addresses)) => addresses.source_address.into(),
        _ => return Err(Malformed("it names no TCP client".to_owned())),
    };
    let mut vpce = None;
    for element in header.tlvs() {
        let element = element.map_err(malformed)?;
        match (element.kind, element.value.split_first()) {
            (AWS, Some((&AWS_VPCE_ID, id))) if vpce.is_none() => vpce = Some(read_id(id)?),
            (AWS, Some((&AWS_VPCE_ID, _))) => {
                return Err(Malformed("it names two VPC endpoints".to_owned()));
            }
            (AWS, None) => return Err(Malformed("AWS's element is empty".to_owned())),
            // Checksums, paddings, and whatever else tells nothing about the client.
            _ => {}
        }
    }
    Ok(client(peer, vpce))
}

fn client(peer: IpAddr, vpce: Option<String>) -> Announced {
    let peer = peer.to_canonical();
    Announced::Client { peer, vpce }
}

fn read_id(id: &[u8]) -> Result<String, Malformed> {
    let legal = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    match std::str::from_utf8(id) {
        Ok(text) if text.starts_with("vpce-") && id.iter().all(legal) => Ok(text.to_owned()),
        _ => Err(Malformed(
            "what it has for a VPC endpoint's id is none".to_owned(),
        )),
    }
}

fn whole(header: &[u8], parsed: usize) -> Result<(), Malformed> {
    if header.len() == parsed {
        Ok(())
    } else {
        Err(Malformed("bytes follow it".to_owned()))
    }
}

fn malformed(error: impl fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

fn cut_off(error: io::Error) -> Malformed {
    Malformed(format!("it is cut off: {error}"))
}

impl Unannounced {
    /// The label, unless there is nothing to tell.
    pub(super) fn kind(&self) -> Option<DropReason> {
        match self {
            Unannounced::Source => Some(DropReason::ProxySource),
            Unannounced::Missing => Some(DropReason::ProxyMissing),
            Unannounced::Malformed(_) => Some(DropReason::ProxyMalformed),
            Unannounced::Nothing => None,
        }
    }
}

impl fmt::Display for Unannounced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unannounced::Source => f.write_str(
                "a PROXY header from an address that `proxy-protocol.from` does not list",
            ),
            Unannounced::Missing => f.write_str("no PROXY header, which this listener requires"),
            Unannounced::Malformed(why) => write!(f, "a malformed PROXY header: {why}"),
            Unannounced::Nothing => f.write_str("nothing was sent"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}
