//! Values with their own grammar: durations, numbers of bytes, addresses, networks, host names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml_span::value::ValueInner;

use super::parse::{FromToml, Table, TomlValue};

/// Host names by which clients may reach a listener without naming a Kinesis endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

/// A number of bytes: an integer, or a string such as `"64KiB"`, `"16MiB"`.
pub(super) struct Bytes(pub usize);

impl HostNames {
    /// Names in lower case, without duplicates.
    pub fn new(mut names: Vec<String>) -> HostNames {
        names
            .iter_mut()
            .for_each(|name| name.make_ascii_lowercase());
        names.sort();
        names.dedup();
        HostNames(names)
    }

    /// Whether `name`, in any case, is one of these names.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// An integer of seconds, or a string such as `"250ms"`, `"5s"`, `"2m"`. The grammar is not that of
/// `jiff`, which also accepts years and signs.
impl FromToml for Duration {
    fn from_toml(value: TomlValue<'_>) -> Option<Duration> {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let wanted = "seconds, or a string such as \"5s\"";
        let usage = "not a span of time above zero: write seconds, or a string such as \"250ms\", \
                     \"5s\", \"2m\"";
        quantity(value, 1000, &units, wanted, usage).map(Duration::from_millis)
    }
}

impl FromToml for Bytes {
    fn from_toml(value: TomlValue<'_>) -> Option<Bytes> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let wanted = "bytes, or a string such as \"16MiB\"";
        let usage = "not a number of bytes above zero: write an integer, or a string such as \
                     \"64KiB\", \"16MiB\"";
        let bytes = quantity(value, 1, &units, wanted, usage)?;
        Some(Bytes(usize::try_from(bytes).unwrap_or(usize::MAX)))
    }
}

/// A file's path, relative to the configuration's folder.
impl FromToml for PathBuf {
    fn from_toml(value: TomlValue<'_>) -> Option<PathBuf> {
        let folder = value.folder();
        Some(folder.join(String::from_toml(value)?))
    }
}

impl FromToml for SocketAddr {
    fn from_toml(mut value: TomlValue<'_>) -> Option<SocketAddr> {
        let text = value.string("an address such as \"127.0.0.1:4443\"")?;
        text.parse().ok().or_else(|| {
            value.refuse(format_args!(
                "`{text}` is not an address and port such as \"127.0.0.1:4443\" or \"[::1]:4443\""
            ))
        })
    }
}

/// A network, `10.0.0.0/8`, or one address.
impl FromToml for IpNet {
    fn from_toml(mut value: TomlValue<'_>) -> Option<IpNet> {
        let text = value.string("a network such as \"10.0.0.0/8\"")?;
        let network = text.parse::<IpNet>();
        match network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) if network.trunc() == network => Some(network),
            Ok(network) => value.refuse(format_args!(
                "`{text}` has bits beyond its prefix: write `{}`",
                network.trunc()
            )),
            Err(_) => value.refuse(format_args!(
                "`{text}` is not a network such as \"10.0.0.0/8\" or \"fd00::/8\""
            )),
        }
    }
}

/// An address with an optional port.
pub(super) fn address_with_port(mut value: TomlValue<'_>, default: u16) -> Option<SocketAddr> {
    let text = value.string("an address such as \"10.0.0.2\"")?;
    let address = text.parse().or_else(|_| {
        let ip = text.parse::<IpAddr>();
        ip.map(|ip| SocketAddr::new(ip, default))
    });
    match address {
        Ok(address) if address.port() != 0 => Some(address),
        _ => value.refuse(format_args!(
            "`{text}` is not an address such as \"10.0.0.2\" or \"10.0.0.2:{default}\""
        )),
    }
}

/// Parses `connect`: `name:port`, `1.2.3.4:port` or `[v6]:port`.
pub(super) fn connect_address(table: &mut Table<'_>) -> Option<String> {
    let text: String = table.optional("connect")?;
    let is_host_and_port = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && port.parse::<u16>().is_ok_and(|port| port != 0)
            && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
    });
    table.refuse_if(
        !is_host_and_port,
        format_args!("`{text}` is not a host and port such as \"127.0.0.1:4567\""),
    );
    Some(text)
}

/// Whether text is a host name for TLS: labels of letters, digits and hyphens, and not an address.
pub(super) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        (1..=63).contains(&label.len())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label) && text.parse::<IpAddr>().is_err()
}

/// An integer in `scale`, or a string that ends in a unit; greater than zero.
fn quantity(
    mut value: TomlValue<'_>,
    scale: u64,
    units: &[(&str, u64)],
    wanted: &'static str,
    usage: &str,
) -> Option<u64> {
    let number = match value.take() {
        ValueInner::Integer(number) => u64::try_from(number).ok().map(|it| it.checked_mul(scale)),
        ValueInner::String(text) => Some(scaled(&text, units)),
        other => return value.refuse_type(wanted, other),
    };
    let number = number.flatten().filter(|number| *number > 0);
    number.or_else(|| value.refuse(usage))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    // Longest unit first, so that `ms` is not read as `s`.
    let (number, scale) = units
        .iter()
        .filter_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))
        .min_by_key(|(number, _)| number.len())?;
    number.trim().parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn units() {
        let spans = &[("ms", 1), ("s", 1000), ("m", 60_000)];
        assert_eq!(scaled("250ms", spans), Some(250));
        assert_eq!(scaled("5s", spans), Some(5000));
        assert_eq!(scaled("2 m", spans), Some(120_000));
        assert_eq!(scaled("5", spans), None);
        assert_eq!(scaled("-5s", spans), None);
        assert_eq!(scaled("99999999999999999999s", spans), None);
    }
}
