//! Bodies in, resources out.

mod conflicts;
mod forms;
mod tokens;

use super::super::{Scanner, Target, WireFormat, operations};
use super::{Member, ResolveContext, Resource, ResourceConflict, Resources, resolve_resources};

const CALLER: &str = "123456789012";

fn context<'a>() -> ResolveContext<'a> {
    ResolveContext {
        partition: "aws",
        region: "us-east-1",
        host_account: None,
        caller_account: Some(CALLER),
    }
}

fn scanned(body: &str) -> Scanner {
    let mut scanner = Scanner::new(WireFormat::Json);
    scanner
        .push(body.as_bytes())
        .unwrap_or_else(|rule| panic!("{body}: {rule}"));
    scanner.finish().unwrap();
    scanner
}

fn target(name: &str) -> Target<'static> {
    Target::parse(Box::leak(
        format!("Kinesis_20131202.{name}").into_boxed_str(),
    ))
    .unwrap()
}

/// Resources as text: `*` any, `?` unknown, an open end as `…`, an unknown account as `?`, and
/// `unscoped` before those the authorization reference does not know.
fn shown(out: &Resources) -> Vec<String> {
    out.iter()
        .map(|resource| match resource {
            Resource::Any => "*".to_owned(),
            Resource::Unknown => "?".to_owned(),
            Resource::Arn(arn) | Resource::Unscoped(arn) => {
                let text = format!(
                    "arn:{}:{}:{}:{}:{}{}",
                    arn.partition,
                    arn.service,
                    arn.region,
                    arn.account.unwrap_or("?"),
                    arn.resource,
                    if arn.is_prefix { "…" } else { "" },
                );
                match arn.text {
                    Some(whole) => assert_eq!(whole, text),
                    None => assert!(arn.is_prefix || arn.account.is_none()),
                }
                let unscoped = matches!(resource, Resource::Unscoped(_));
                if unscoped {
                    format!("unscoped {text}")
                } else {
                    text
                }
            }
        })
        .collect()
}

fn named_in(
    context: &ResolveContext<'_>,
    operation: &str,
    body: &str,
) -> Result<Vec<String>, ResourceConflict> {
    let mut out = Resources::default();
    resolve_resources(
        &target(operation),
        scanned(body).members(),
        context,
        None,
        &mut out,
    )?;
    assert!(!out.is_empty());
    assert_eq!(out.len(), out.iter().count());
    Ok(shown(&out))
}

fn named(operation: &str, body: &str) -> Result<Vec<String>, ResourceConflict> {
    named_in(&context(), operation, body)
}

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
const OTHER: &str = "arn:aws:kinesis:us-east-1:999999999999:stream/orders";
const CONSUMER: &str =
    "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/app:1700000000";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0a-1";

#[test]
fn a_name_resolves_in_the_account_of_the_caller() {
    let body = r#"{"StreamName":"orders"}"#;
    let unknown = ResolveContext {
        caller_account: None,
        ..context()
    };
    assert_eq!(
        named_in(&unknown, "PutRecord", body).unwrap(),
        ["arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    // Name and ARN, where it cannot be known whether they are one stream: both count.
    let both = format!(r#"{{"StreamARN":"{STREAM}","StreamName":"orders"}}"#);
    assert_eq!(
        named_in(&unknown, "PutRecord", &both).unwrap(),
        [STREAM, "arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    let china = ResolveContext {
        partition: "aws-cn",
        region: "cn-north-1",
        ..context()
    };
    assert_eq!(
        named_in(&china, "PutRecord", body).unwrap(),
        ["arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders"]
    );
}

#[test]
fn the_account_in_the_host_must_match() {
    let own = ResolveContext {
        host_account: Some(CALLER),
        ..context()
    };
    let foreign = ResolveContext {
        host_account: Some("999999999999"),
        ..context()
    };
    let name = r#"{"StreamName":"orders"}"#;
    assert_eq!(named_in(&own, "PutRecord", name).unwrap(), [STREAM]);
    assert_eq!(
        named_in(&foreign, "PutRecord", name),
        Err(ResourceConflict::CallerAccount(Member::StreamName))
    );
    let unknown = ResolveContext {
        caller_account: None,
        ..foreign
    };
    assert_eq!(
        named_in(&unknown, "PutRecord", name).unwrap(),
        ["arn:aws:kinesis:us-east-1:?:stream/orders"]
    );
    for (context, arn, agrees) in [
        (own, STREAM, true),
        (own, OTHER, false),
        (foreign, OTHER, true),
        (foreign, STREAM, false),
    ] {
        let named = named_in(
            &context,
            "PutRecord",
            &format!(r#"{{"StreamARN":"{arn}"}}"#),
        );
        let expected = if agrees {
            Ok(vec![arn.to_owned()])
        } else {
            Err(ResourceConflict::HostAccount(Member::StreamArn))
        };
        assert_eq!(named, expected);
    }
}

#[test]
fn every_operation_has_a_resource_and_a_reused_buffer_is_cleared() {
    let mut out = Resources::default();
    let empty = scanned("{}");
    let full = scanned(&format!(
        r#"{{"StreamName":"orders","StreamARN":"{STREAM}"}}"#
    ));
    for operation in operations() {
        let target = Target::Operation(operation);
        resolve_resources(&target, full.members(), &context(), None, &mut out).unwrap();
        resolve_resources(&target, empty.members(), &context(), None, &mut out).unwrap();
        let alone = shown(&out);
        assert!(
            alone == ["?"] || alone == ["*"],
            "{}: {alone:?}",
            operation.name
        );
    }
}
