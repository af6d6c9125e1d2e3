//! Signatures in the `Authorization` header and in the query, separated by the first line feed: the
//! caller is the one of the credential, and there is one credential.

use kinesis_gate::sigv4::{RequestSignature, parse};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (header, query) = text.split_once('\n').unwrap_or((text, ""));
    match parse(Some(header), None) {
        Ok(signature) => {
            assert_eq!(header.matches("Credential=").count(), 1);
            assert_eq!(header.matches("Signature=").count(), 1);
            let (_, credential) = header.split_once("Credential=").expect("a credential");
            let credential = credential.split(',').next().unwrap_or_default();
            assert_credential(&signature, credential.trim_matches(' '));
        }
        Err(error) => assert!(!error.message().is_empty()),
    }
    match parse(None, Some(query)) {
        Ok(signature) => {
            let mut credentials = query.split('&').filter_map(|part| {
                let (name, value) = part.split_once('=')?;
                (name == "X-Amz-Credential").then_some(value)
            });
            let credential = credentials.next().expect("a credential");
            assert!(credentials.next().is_none());
            assert_credential(
                &signature,
                &credential.replace("%2F", "/").replace("%2f", "/"),
            );
            assert!(!query.contains("Action=") && !query.contains("X-Amz-Target"));
        }
        Err(error) => assert!(!error.message().is_empty()),
    }
    if let Ok(signature) = parse(Some(header), Some(query)) {
        // Signatures in both places are refused: one of the two is empty.
        assert!(query.is_empty(), "{signature:?}");
    }
}

fn assert_credential(signature: &RequestSignature<'_>, credential: &str) {
    let parts: Vec<&str> = credential.split('/').collect();
    assert_eq!(
        parts,
        [
            signature.credential.access_key_id,
            signature.credential.scope.date,
            signature.credential.scope.region,
            signature.credential.scope.service,
            "aws4_request"
        ]
    );
    assert!(
        !signature.credential.access_key_id.is_empty()
            && signature.credential.scope.date.len() == 8
    );
    let account = signature
        .credential
        .account
        .as_ref()
        .map(|account| account.as_str().len());
    assert!(account.is_none_or(|len| len == 12));
}
