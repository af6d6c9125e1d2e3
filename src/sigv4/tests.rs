use proptest::prelude::{ProptestConfig, proptest};

use super::{Account, Form, Unauthenticated, read};

const SIGNATURE: &str = "0e4d89fdd071072f8a7ab13bba0c0e5d173263000d22f7f9d8e5adb8085da975";
const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKIARZPUZDIKGB2VALC4/20261123/us-east-1/kinesis/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
     Signature=0e4d89fdd071072f8a7ab13bba0c0e5d173263000d22f7f9d8e5adb8085da975";
const QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAY34FZKBOKMUTVV7A%2F20261123%2Feu-west-1%2Fkinesis%2Faws4_request\
     &X-Amz-Date=20261123T052855Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host%3Bx-amz-target&X-Amz-Security-Token=abc%2F%3D\
     &X-Amz-Signature=0e4d89fdd071072f8a7ab13bba0c0e5d173263000d22f7f9d8e5adb8085da975";

#[test]
fn reads_the_header() {
    let caller = read(Some(HEADER), None).unwrap();
    assert_eq!(caller.access_key_id, "AKIARZPUZDIKGB2VALC4");
    assert_eq!(
        caller.account.as_ref().map(Account::as_str),
        Some("123456789012")
    );
    assert_eq!(caller.temporary, Some(false));
    assert_eq!(
        (caller.date, caller.region, caller.service),
        ("20261123", "us-east-1", "kinesis")
    );
    assert_eq!(
        caller.signed_headers,
        "content-type;host;x-amz-date;x-amz-target"
    );
    assert_eq!(
        (caller.form, caller.has_session_token()),
        (Form::Header, false)
    );
    assert_eq!(read(Some(HEADER), Some("")), Ok(caller));

    // Spaces and order are free; the JavaScript SDK signs a pseudo-header.
    let other = format!(
        "AWS4-HMAC-SHA256 Signature={SIGNATURE},SignedHeaders=:authority;x-amz-date,Credential=000000000000/20261123/us-east-1/kinesis/aws4_request"
    );
    let caller = read(Some(&other), None).unwrap();
    assert_eq!(
        (caller.access_key_id, caller.account, caller.temporary),
        ("000000000000", None, None)
    );
}

#[test]
fn reads_the_query() {
    let caller = read(None, Some(QUERY)).unwrap();
    assert_eq!(caller.access_key_id, "ASIAY34FZKBOKMUTVV7A");
    assert_eq!(
        caller.account.as_ref().map(Account::as_str),
        Some("609629065308")
    );
    assert_eq!(caller.temporary, Some(true));
    assert_eq!((caller.region, caller.service), ("eu-west-1", "kinesis"));
    assert_eq!(
        (caller.form, caller.has_session_token()),
        (Form::Presigned, true)
    );
}

#[test]
fn refuses_other_headers() {
    for (change, expected) in [
        (
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            Unauthenticated::Algorithm,
        ),
        (
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256x"),
            Unauthenticated::Algorithm,
        ),
        (("AWS4-HMAC-SHA256", "AWS"), Unauthenticated::Algorithm),
        (("AWS4-HMAC-SHA256", "Bearer"), Unauthenticated::Algorithm),
        (
            ("aws4_request", "aws5_request"),
            Unauthenticated::Credential,
        ),
        (("/aws4_request", ""), Unauthenticated::Credential),
        (
            ("/aws4_request", "/aws4_request/x"),
            Unauthenticated::Credential,
        ),
        (("20261123", "2026112"), Unauthenticated::Credential),
        (("us-east-1", "us_east"), Unauthenticated::Credential),
        (("us-east-1", "%2F"), Unauthenticated::Credential),
        (("AKIARZPUZDIKGB2VALC4", ""), Unauthenticated::Credential),
        (
            ("AKIARZPUZDIKGB2VALC4", "AKIA RZPU"),
            Unauthenticated::Credential,
        ),
        (
            ("AKIARZPUZDIKGB2VALC4", "AKIA\u{e9}"),
            Unauthenticated::Credential,
        ),
        (
            ("Signature=0e", "Signature=0E"),
            Unauthenticated::InvalidHeader,
        ),
        (
            ("Signature=0e", "Signature=e"),
            Unauthenticated::InvalidHeader,
        ),
        (("host;", "Host;"), Unauthenticated::InvalidHeader),
        (("host;", "host;;"), Unauthenticated::InvalidHeader),
        (
            (", SignedHeaders", ", Foo=bar, SignedHeaders"),
            Unauthenticated::InvalidHeader,
        ),
        (
            (", SignedHeaders", ", , SignedHeaders"),
            Unauthenticated::InvalidHeader,
        ),
        (
            (", SignedHeaders", ", Credential=a, SignedHeaders"),
            Unauthenticated::Repeated,
        ),
        (
            ("SignedHeaders=", "signedheaders="),
            Unauthenticated::InvalidHeader,
        ),
    ] {
        let header = HEADER.replacen(change.0, change.1, 1);
        assert_ne!(header, HEADER);
        assert_eq!(
            read(Some(&header), None).map(|_| ()),
            Err(expected),
            "{header}"
        );
    }
    let twice = format!("{HEADER}, {HEADER}");
    assert_eq!(
        read(Some(&twice), None).map(|_| ()),
        Err(Unauthenticated::InvalidHeader)
    );
}

#[test]
fn refuses_other_queries() {
    for (change, expected) in [
        (
            ("&X-Amz-Expires", "&Action=DeleteStream&X-Amz-Expires"),
            Unauthenticated::ForeignQuery,
        ),
        (
            (
                "&X-Amz-Expires",
                "&X-Amz-Target=Kinesis_20131202.DeleteStream&X-Amz-Expires",
            ),
            Unauthenticated::ForeignQuery,
        ),
        (
            ("&X-Amz-Expires", "&%58-Amz-Target=a&X-Amz-Expires"),
            Unauthenticated::ForeignQuery,
        ),
        (
            ("X-Amz-Expires", "x-amz-expires"),
            Unauthenticated::ForeignQuery,
        ),
        (
            ("&X-Amz-Expires", "&&X-Amz-Expires"),
            Unauthenticated::ForeignQuery,
        ),
        (
            (
                "&X-Amz-Expires",
                "&X-Amz-Date=20261123T052855Z&X-Amz-Expires",
            ),
            Unauthenticated::Repeated,
        ),
        (("%2Fkinesis", "%252Fkinesis"), Unauthenticated::Credential),
        (
            ("%2Fkinesis", "%2Fkinesis%2Fkinesis"),
            Unauthenticated::Credential,
        ),
        (("ASIAY34F", "ASIA%59"), Unauthenticated::Credential),
        (
            ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4"),
            Unauthenticated::Algorithm,
        ),
        (
            ("=20261123T052855Z", "=20261124T052855Z"),
            Unauthenticated::InvalidQuery,
        ),
        (
            ("=20261123T052855Z", "=20261123"),
            Unauthenticated::InvalidQuery,
        ),
        (("Expires=300", "Expires=-1"), Unauthenticated::InvalidQuery),
        (("host%3B", "Host%3B"), Unauthenticated::InvalidQuery),
        (
            ("Signature=0e", "Signature=%30e"),
            Unauthenticated::InvalidQuery,
        ),
    ] {
        let query = QUERY.replacen(change.0, change.1, 1);
        assert_ne!(query, QUERY);
        assert_eq!(
            read(None, Some(&query)).map(|_| ()),
            Err(expected),
            "{query}"
        );
    }
}

#[test]
fn says_what_is_missing_in_the_words_of_the_service() {
    let none = read(None, None).unwrap_err();
    assert_eq!(
        (none.error_type(), &*none.message()),
        (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token"
        )
    );
    let both = read(Some(HEADER), Some(QUERY)).unwrap_err();
    assert_eq!(both.error_type(), "InvalidSignatureException");
    let bare = read(Some("AWS4-HMAC-SHA256"), None).unwrap_err();
    assert_eq!(bare.error_type(), "IncompleteSignatureException");
    assert_eq!(
        bare.message(),
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
         parameter. Authorization header requires 'SignedHeaders' parameter."
    );
    let query = read(None, Some("X-Amz-Algorithm=AWS4-HMAC-SHA256")).unwrap_err();
    assert_eq!(
        query.message(),
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must \
         include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS \
         query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."
    );
    assert_eq!(
        read(Some(HEADER), Some("Action=x")),
        Err(Unauthenticated::ForeignQuery)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_text_is_read_without_harm_and_nothing_is_repeated(
        header in "(AWS4-HMAC-SHA256 |Credential=|SignedHeaders=|Signature=|secret|[,/;= ]|[a-z0-9]|\\PC){0,14}",
        query in "(X-Amz-Algorithm=|X-Amz-Credential=|X-Amz-Signature=|secret|[&=%;]|%2F|\\PC){0,14}",
    ) {
        for result in [read(Some(&header), None), read(None, Some(&query)), read(Some(&header), Some(&query))] {
            match result {
                Ok(caller) => assert!(!format!("{caller:?}").contains(SIGNATURE)),
                Err(why) => assert!(!format!("{why} {} {why:?}", why.message()).contains("secret")),
            }
        }
    }

    #[test]
    fn parts_are_kept(key in "[A-Z0-9]{16,20}", region in "[a-z]{2}-[a-z]{3,9}-[1-9]", service in "[a-z]{3,9}", date in "[0-9]{8}") {
        let header = format!("AWS4-HMAC-SHA256 Credential={key}/{date}/{region}/{service}/aws4_request, SignedHeaders=host, Signature={SIGNATURE}");
        let caller = read(Some(&header), None).unwrap();
        assert_eq!((caller.access_key_id, caller.date, caller.region, caller.service), (&*key, &*date, &*region, &*service));
    }
}
