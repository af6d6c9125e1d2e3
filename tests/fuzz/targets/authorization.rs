//! Signatures in the header and in the query, separated by the first line feed: who signed is who
//! stands in the credential, and there is one.

use kinesis_gate::sigv4::{Caller, read};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (header, query) = text.split_once('\n').unwrap_or((text, ""));
    match read(Some(header), None) {
        Ok(caller) => {
            assert_eq!(header.matches("Credential=").count(), 1);
            assert_eq!(header.matches("Signature=").count(), 1);
            let (_, credential) = header.split_once("Credential=").expect("a credential");
            let credential = credential.split(',').next().unwrap_or_default();
            agrees(&caller, credential.trim_matches(' '));
        }
        Err(why) => assert!(!why.message().is_empty()),
    }
    match read(None, Some(query)) {
        Ok(caller) => {
            let mut named = query.split('&').filter_map(|part| {
                let (name, value) = part.split_once('=')?;
                (name == "X-Amz-Credential").then_some(value)
            });
            let credential = named.next().expect("a credential");
            assert!(named.next().is_none());
            agrees(&caller, &credential.replace("%2F", "/").replace("%2f", "/"));
            assert!(!query.contains("Action=") && !query.contains("X-Amz-Target"));
        }
        Err(why) => assert!(!why.message().is_empty()),
    }
    if let Ok(caller) = read(Some(header), Some(query)) {
        // Both are never read: one of them is nothing at all.
        assert!(query.is_empty(), "{caller:?}");
    }
}

fn agrees(caller: &Caller<'_>, credential: &str) {
    let parts: Vec<&str> = credential.split('/').collect();
    assert_eq!(
        parts,
        [
            caller.access_key_id,
            caller.date,
            caller.region,
            caller.service,
            "aws4_request"
        ]
    );
    assert!(!caller.access_key_id.is_empty() && caller.date.len() == 8);
    let account = caller
        .account
        .as_ref()
        .map(|account| account.as_str().len());
    assert!(account.is_none_or(|len| len == 12));
}
