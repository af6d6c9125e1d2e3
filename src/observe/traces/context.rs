//! The trace context of a request, from its headers. The gate reads and never writes these headers:
//! it forwards the request as received.

use http::{HeaderMap, HeaderName};

/// The caller's trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    /// Never zero.
    pub(super) trace: u128,
    /// The caller's span, never zero.
    pub(super) span: Option<u64>,
    /// Whether the caller's span is sampled, if the header says so.
    pub(super) sampled: Option<bool>,
}

/// The header of W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header of AWS X-Ray, which SDKs send in Lambda and load balancers add.
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Reads the W3C header if it is well formed, otherwise the AWS header. A malformed or repeated
/// header is ignored.
pub(super) fn parent(headers: &HeaderMap) -> Option<Parent> {
    let w3c = only_value(headers, &TRACEPARENT).and_then(w3c);
    w3c.or_else(|| only_value(headers, &X_AMZN_TRACE_ID).and_then(x_ray))
}

fn only_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// `00-{trace}-{span}-{flags}`, <https://www.w3.org/TR/trace-context/#traceparent-header>. A later
/// version may append fields.
fn w3c(value: &str) -> Option<Parent> {
    let mut parts = value.splitn(5, '-');
    let mut part = |digits| lower_hex(parts.next()?, digits);
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let more = parts.next().is_some();
    if version == 0xff || version == 0 && more {
        return None;
    }
    Some(Parent {
        trace: non_zero(trace)?,
        span: Some(u64::try_from(non_zero(span)?).ok()?),
        sampled: Some(flags & 1 == 1),
    })
}

/// `Root=1-{time}-{random};Parent={span};Sampled={0, 1 or ?}`,
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
/// Other fields are ignored.
fn x_ray(value: &str) -> Option<Parent> {
    let (mut root, mut parent, mut sampled) = (None, None, None);
    for field in value.split(';').map(str::trim) {
        let (name, value) = match field.split_once('=') {
            Some(pair) => pair,
            None if field.is_empty() => continue,
            None => return None,
        };
        let known = match name {
            "Root" => &mut root,
            "Parent" => &mut parent,
            "Sampled" => &mut sampled,
            _ => continue,
        };
        if known.replace(value).is_some() {
            return None;
        }
    }
    let (time, random) = root?.strip_prefix("1-")?.split_once('-')?;
    let trace = lower_hex(time, 8)? << 96 | lower_hex(random, 24)?;
    let span = match parent {
        Some(span) => Some(u64::try_from(non_zero(lower_hex(span, 16)?)?).ok()?),
        None => None,
    };
    let sampled = match sampled {
        Some("1") => Some(true),
        Some("0") => Some(false),
        Some("?") | None => None,
        Some(_) => return None,
    };
    Some(Parent {
        trace: non_zero(trace)?,
        span,
        sampled,
    })
}

/// An id of zeros is invalid.
fn non_zero(id: u128) -> Option<u128> {
    (id != 0).then_some(id)
}

/// A number of exactly `digits` lower-case digits, at most 32.
fn lower_hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{Parent, parent};

    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    const SPAN: u64 = 0xb7ad_6b71_6920_3331;

    fn read(lines: &[(&'static str, &str)]) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        parent(&headers)
    }

    fn w3c(value: &str) -> Option<Parent> {
        read(&[("traceparent", value)])
    }

    fn x_ray(value: &str) -> Option<Parent> {
        read(&[("x-amzn-trace-id", value)])
    }

    #[test]
    fn w3c_headers_are_parsed() {
        let context = |sampled| {
            Some(Parent {
                trace: TRACE,
                span: Some(SPAN),
                sampled: Some(sampled),
            })
        };
        let ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        assert_eq!(w3c(&format!("00-{ids}-01")), context(true));
        assert_eq!(w3c(&format!("00-{ids}-00")), context(false));
        assert_eq!(w3c(&format!("00-{ids}-fe")), context(false));
        assert_eq!(w3c(&format!("cc-{ids}-01")), context(true));
        assert_eq!(
            w3c(&format!("cc-{ids}-01-what-the-future-will-be")),
            context(true)
        );
        for malformed in [
            String::new(),
            "00".to_owned(),
            format!("00-{ids}"),
            format!("00-{ids}-1"),
            format!("00-{ids}-01-more"),
            format!("cc-{ids}-01.more"),
            format!("ff-{ids}-01"),
            format!("0-{ids}-01"),
            format!("00-{}-01", ids.to_uppercase()),
            format!("00-{}-01", ids.replace("0af7", "+af7")),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned(),
        ] {
            assert_eq!(w3c(&malformed), None, "{malformed}");
        }
    }

    #[test]
    fn x_ray_headers_are_parsed() {
        let context = |span, sampled| {
            Some(Parent {
                trace: TRACE,
                span,
                sampled,
            })
        };
        let root = "Root=1-0af76519-16cd43dd8448eb211c80319c";
        let parent = "Parent=b7ad6b7169203331";
        let all = format!("{root};{parent};Sampled=1");
        assert_eq!(x_ray(&all), context(Some(SPAN), Some(true)));
        assert_eq!(
            x_ray(&format!("{all};Lineage=a:1")),
            context(Some(SPAN), Some(true))
        );
        assert_eq!(
            x_ray(&format!("Sampled=0; {parent}; {root};")),
            context(Some(SPAN), Some(false))
        );
        assert_eq!(x_ray(&format!("{root};Sampled=?")), context(None, None));
        // The header that a load balancer adds.
        assert_eq!(
            x_ray(&format!("Self=1-67891234-12456789abcdef012345678;{root}")),
            context(None, None)
        );
        for malformed in [
            parent.to_owned(),
            format!("{root};{root}"),
            format!("{root};{parent};Sampled=yes"),
            format!("{root};Parent=b7ad"),
            format!("{root};Parent={}", "0".repeat(16)),
            format!("{root};and"),
            root.replace("1-", "2-"),
            root.replace("0af7", "0AF7"),
            format!("Root=1-00000000-{}", "0".repeat(24)),
        ] {
            assert_eq!(x_ray(&malformed), None, "{malformed}");
        }
    }

    #[test]
    fn w3c_goes_first_and_repeated_headers_are_ignored() {
        let mine = (
            "traceparent",
            "00-0000000000000000000000000000000a-000000000000000b-01",
        );
        let aws = (
            "x-amzn-trace-id",
            "Root=1-0af76519-16cd43dd8448eb211c80319c",
        );
        assert_eq!(read(&[aws, mine]).map(|it| it.trace), Some(10));
        assert_eq!(read(&[aws, mine, mine]).map(|it| it.trace), Some(TRACE));
        assert_eq!(
            read(&[("traceparent", "nonsense"), aws]).map(|it| it.trace),
            Some(TRACE)
        );
        assert_eq!(read(&[aws, aws]), None);
        assert_eq!(read(&[]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn any_bytes_are_read_or_ignored(
            value in prop::collection::vec(any::<u8>(), 0..96),
            near in "(00|ff|cc)?[-;]?(Root=1-[0-9a-f]{8}-[0-9a-f]{24}|[0-9a-f]{32})[-;](Parent=)?[0-9a-fA-F]{15,17}[-;](Sampled=)?[01?]{1,2}.{0,3}",
        ) {
            for bytes in [value.as_slice(), near.as_bytes()] {
                let Ok(value) = HeaderValue::from_bytes(bytes) else { continue };
                for name in ["traceparent", "x-amzn-trace-id"] {
                    let mut headers = HeaderMap::new();
                    headers.append(name, value.clone());
                    if let Some(found) = parent(&headers) {
                        prop_assert!(found.trace != 0 && found.span != Some(0));
                    }
                }
            }
        }

        #[test]
        fn every_id_is_read_as_it_was_written(trace in 1_u128.., span in 1_u64.., flags in any::<u8>()) {
            let found = w3c(&format!("00-{trace:032x}-{span:016x}-{flags:02x}")).unwrap();
            prop_assert_eq!(found, Parent { trace, span: Some(span), sampled: Some(flags & 1 == 1) });
            let root = format!("{trace:032x}");
            let (time, random) = root.split_at(8);
            let found = x_ray(&format!("Root=1-{time}-{random};Parent={span:016x}")).unwrap();
            prop_assert_eq!(found, Parent { trace, span: Some(span), sampled: None });
        }
    }
}
