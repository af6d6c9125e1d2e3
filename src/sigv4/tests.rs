use proptest::prelude::{ProptestConfig, proptest};

use super::{AccountId, ParseError, SignatureLocation, parse};

const SIGNATURE: &str = "0e4d89fdd071072f8a7ab13bba0c0e5d173263000d22f7f9d8e5adb8085da975";
const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKIARZPUZDIKGB2VALC4/20261123/us-east-1/kinesis/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
     Signature=0e4d89fdd071072f8a7ab13bba0c0e5d173263000d22f7f9d8e5adb8085da975";
const QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAY34FZKBOKMUTVV7A%2F20261123%2Feu-west-1%2Fkinesis%2Faws4_request\
     &X-Amz-Date=20261123T052855Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host%3Bx-amz-target&X-Amz-Security-Token=abc%2F%3D\
     &X-Amz-Signature=0e4d89fdd071072f8a7ab13bba0c0e5d173263000d22f7f9d8e5adb8085da975";

#[test]
fn reads_the_header() {
    let signature = parse(Some(HEADER), None).unwrap();
    assert_eq!(signature.credential.access_key_id, "AKIARZPUZDIKGB2VALC4");
    assert_eq!(
        signature.credential.account.as_ref().map(AccountId::as_str),
        Some("123456789012")
    );
    assert_eq!(signature.credential.is_temporary(), Some(false));
    assert_eq!(
        (
            signature.credential.scope.date,
            signature.credential.scope.region,
            signature.credential.scope.service
        ),
        ("20261123", "us-east-1", "kinesis")
    );
    assert_eq!(
        signature.signed_headers,
        "content-type;host;x-amz-date;x-amz-target"
    );
    assert_eq!(
        (signature.location, signature.has_session_token()),
        (SignatureLocation::Header, false)
    );
    assert_eq!(parse(Some(HEADER), Some("")), Ok(signature));

    // Spaces and order are free; the JavaScript SDK signs a pseudo-header.
    let other = format!(
        "AWS4-HMAC-SHA256 Signature={SIGNATURE},SignedHeaders=:authority;x-amz-date,Credential=000000000000/20261123/us-east-1/kinesis/aws4_request"
    );
    let signature = parse(Some(&other), None).unwrap();
    assert_eq!(
        (
            signature.credential.access_key_id,
            signature.credential.account,
            signature.credential.is_temporary()
        ),
        ("000000000000", None, None)
    );
}

#[test]
fn reads_the_query() {
    let signature = parse(None, Some(QUERY)).unwrap();
    assert_eq!(signature.credential.access_key_id, "ASIAY34FZKBOKMUTVV7A");
    assert_eq!(
        signature.credential.account.as_ref().map(AccountId::as_str),
        Some("609629065308")
    );
    assert_eq!(signature.credential.is_temporary(), Some(true));
    assert_eq!(
        (
            signature.credential.scope.region,
            signature.credential.scope.service
        ),
        ("eu-west-1", "kinesis")
    );
    assert_eq!(
        (signature.location, signature.has_session_token()),
        (SignatureLocation::Query, true)
    );
}

#[test]
fn refuses_other_headers() {
    for (change, expected) in [
        (
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            ParseError::UnsupportedAlgorithm,
        ),
        (
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256x"),
            ParseError::UnsupportedAlgorithm,
        ),
        (
            ("AWS4-HMAC-SHA256", "AWS"),
            ParseError::UnsupportedAlgorithm,
        ),
        (
            ("AWS4-HMAC-SHA256", "Bearer"),
            ParseError::UnsupportedAlgorithm,
        ),
        (
            ("aws4_request", "aws5_request"),
            ParseError::InvalidCredential,
        ),
        (("/aws4_request", ""), ParseError::InvalidCredential),
        (
            ("/aws4_request", "/aws4_request/x"),
            ParseError::InvalidCredential,
        ),
        (("20261123", "2026112"), ParseError::InvalidCredential),
        (("us-east-1", "us_east"), ParseError::InvalidCredential),
        (("us-east-1", "%2F"), ParseError::InvalidCredential),
        (("AKIARZPUZDIKGB2VALC4", ""), ParseError::InvalidCredential),
        (
            ("AKIARZPUZDIKGB2VALC4", "AKIA RZPU"),
            ParseError::InvalidCredential,
        ),
        (
            ("AKIARZPUZDIKGB2VALC4", "AKIA\u{e9}"),
            ParseError::InvalidCredential,
        ),
        (("Signature=0e", "Signature=0E"), ParseError::InvalidHeader),
        (("Signature=0e", "Signature=e"), ParseError::InvalidHeader),
        (("host;", "Host;"), ParseError::InvalidHeader),
        (("host;", "host;;"), ParseError::InvalidHeader),
        (
            (", SignedHeaders", ", Foo=bar, SignedHeaders"),
            ParseError::InvalidHeader,
        ),
        (
            (", SignedHeaders", ", , SignedHeaders"),
            ParseError::InvalidHeader,
        ),
        (
            (", SignedHeaders", ", Credential=a, SignedHeaders"),
            ParseError::RepeatedParameter,
        ),
        (
            ("SignedHeaders=", "signedheaders="),
            ParseError::InvalidHeader,
        ),
    ] {
        let header = HEADER.replacen(change.0, change.1, 1);
        assert_ne!(header, HEADER);
        assert_eq!(
            parse(Some(&header), None).map(|_| ()),
            Err(expected),
            "{header}"
        );
    }
    let twice = format!("{HEADER}, {HEADER}");
    assert_eq!(
        parse(Some(&twice), None).map(|_| ()),
        Err(ParseError::InvalidHeader)
    );
}

#[test]
fn refuses_other_queries() {
    for (change, expected) in [
        (
            ("&X-Amz-Expires", "&Action=DeleteStream&X-Amz-Expires"),
            ParseError::UnknownQueryParameter,
        ),
        (
            (
                "&X-Amz-Expires",
                "&X-Amz-Target=Kinesis_20131202.DeleteStream&X-Amz-Expires",
            ),
            ParseError::UnknownQueryParameter,
        ),
        (
            ("&X-Amz-Expires", "&%58-Amz-Target=a&X-Amz-Expires"),
            ParseError::UnknownQueryParameter,
        ),
        (
            ("X-Amz-Expires", "x-amz-expires"),
            ParseError::UnknownQueryParameter,
        ),
        (
            ("&X-Amz-Expires", "&&X-Amz-Expires"),
            ParseError::UnknownQueryParameter,
        ),
        (
            (
                "&X-Amz-Expires",
                "&X-Amz-Date=20261123T052855Z&X-Amz-Expires",
            ),
            ParseError::RepeatedParameter,
        ),
        (
            ("%2Fkinesis", "%252Fkinesis"),
            ParseError::InvalidCredential,
        ),
        (
            ("%2Fkinesis", "%2Fkinesis%2Fkinesis"),
            ParseError::InvalidCredential,
        ),
        (("ASIAY34F", "ASIA%59"), ParseError::InvalidCredential),
        (
            ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4"),
            ParseError::UnsupportedAlgorithm,
        ),
        (
            ("=20261123T052855Z", "=20261124T052855Z"),
            ParseError::InvalidQuery,
        ),
        (("=20261123T052855Z", "=20261123"), ParseError::InvalidQuery),
        (("Expires=300", "Expires=-1"), ParseError::InvalidQuery),
        (("host%3B", "Host%3B"), ParseError::InvalidQuery),
        (("Signature=0e", "Signature=%30e"), ParseError::InvalidQuery),
    ] {
        let query = QUERY.replacen(change.0, change.1, 1);
        assert_ne!(query, QUERY);
        assert_eq!(
            parse(None, Some(&query)).map(|_| ()),
            Err(expected),
            "{query}"
        );
    }
}

#[test]
fn names_missing_parameters_as_the_service_does() {
    let none = parse(None, None).unwrap_err();
    assert_eq!(
        (none.error_type(), &*none.message()),
        (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token"
        )
    );
    let both = parse(Some(HEADER), Some(QUERY)).unwrap_err();
    assert_eq!(both.error_type(), "InvalidSignatureException");
    let bare = parse(Some("AWS4-HMAC-SHA256"), None).unwrap_err();
    assert_eq!(bare.error_type(), "IncompleteSignatureException");
    assert_eq!(
        bare.message(),
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
         parameter. Authorization header requires 'SignedHeaders' parameter."
    );
    let query = parse(None, Some("X-Amz-Algorithm=AWS4-HMAC-SHA256")).unwrap_err();
    assert_eq!(
        query.message(),
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must \
         include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS \
         query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."
    );
    assert_eq!(
        parse(Some(HEADER), Some("Action=x")),
        Err(ParseError::UnknownQueryParameter)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn parses_any_text_without_panic_and_repeats_no_secret(
        header in "(AWS4-HMAC-SHA256 |Credential=|SignedHeaders=|Signature=|secret|[,/;= ]|[a-z0-9]|\\PC){0,14}",
        query in "(X-Amz-Algorithm=|X-Amz-Credential=|X-Amz-Signature=|secret|[&=%;]|%2F|\\PC){0,14}",
    ) {
        for result in [parse(Some(&header), None), parse(None, Some(&query)), parse(Some(&header), Some(&query))] {
            match result {
                Ok(signature) => assert!(!format!("{signature:?}").contains(SIGNATURE)),
                Err(why) => assert!(!format!("{why} {} {why:?}", why.message()).contains("secret")),
            }
        }
    }

    #[test]
    fn reads_every_part_of_the_credential(key in "[A-Z0-9]{16,20}", region in "[a-z]{2}-[a-z]{3,9}-[1-9]", service in "[a-z]{3,9}", date in "[0-9]{8}") {
        let header = format!("AWS4-HMAC-SHA256 Credential={key}/{date}/{region}/{service}/aws4_request, SignedHeaders=host, Signature={SIGNATURE}");
        let signature = parse(Some(&header), None).unwrap();
        assert_eq!((signature.credential.access_key_id, signature.credential.scope.date, signature.credential.scope.region, signature.credential.scope.service), (&*key, &*date, &*region, &*service));
    }
}
