//! Writes the operation table: `src/kinesis/operations.json` becomes Rust data in `OUT_DIR`, so that
//! a newer service model is a change of data and nothing parses it at start.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

const TABLE: &str = "src/kinesis/operations.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={TABLE}");
    let document: Value = serde_json::from_slice(&std::fs::read(TABLE)?)?;
    let mut operations: Vec<&Value> = list(&document, "operations")?.iter().collect();
    // The lookup is a binary search and the number an index, so order is part of the format.
    operations.sort_by_key(|operation| operation.get("operation").and_then(Value::as_str));

    let mut code = String::from(
        "/// The names of all operations, in order of their numbers.\npub const ACTION_NAMES: &[&str] = &[\n",
    );
    for operation in &operations {
        writeln!(code, "    {:?},", text(operation, "operation")?)?;
    }
    code.push_str("];\n\nstatic OPERATIONS: &[Operation] = &[\n");
    for (number, operation) in operations.iter().enumerate() {
        write_operation(&mut code, number, operation)?;
    }
    code.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?;
    std::fs::write(Path::new(&out).join("operations.rs"), code)?;
    Ok(())
}

fn write_operation(
    code: &mut String,
    number: usize,
    operation: &Value,
) -> Result<(), Box<dyn Error>> {
    let name = text(operation, "operation")?;
    let plane = match text(operation, "plane")? {
        "data" => "Data",
        "control" => "Control",
        other => {
            return Err(format!("`{name}`: plane `{other}` is neither data nor control").into());
        }
    };
    let resource_members = strings(operation, "resourceMembers")?;
    let members: Vec<&str> = resource_members
        .iter()
        .copied()
        .filter_map(|member| variant(member))
        .collect();
    let has_stream_list = resource_members
        .iter()
        .any(|member| variant(member).is_none());
    writeln!(
        code,
        "    Operation {{\n        name: {name:?},\n        action: \"kinesis:{name}\",\n        number: {number},\n        \
         plane: Plane::{plane},\n        resource_members: &[{}],\n        has_stream_list: {has_stream_list},\n        \
         input_token: {},\n        output_tokens: &{:?},\n        tag_members: &{:?},\n        scope: ResourceScope::{},\n        \
         is_event_stream: {},\n    }},",
        members
            .iter()
            .map(|member| format!("Member::{member}"))
            .collect::<Vec<_>>()
            .join(", "),
        token(name, &strings(operation, "tokenMembersIn")?)?,
        strings(operation, "tokenMembersOut")?,
        strings(operation, "tagMembers")?,
        scope(name, operation, &resource_members)?,
        operation
            .get("eventStream")
            .and_then(Value::as_bool)
            .ok_or("`eventStream` is missing")?,
    )?;
    Ok(())
}

/// The variant of `Member` for a wire name; none for lists of structures.
fn variant(member: &str) -> Option<&'static str> {
    Some(match member {
        "StreamName" => "StreamName",
        "StreamARN" => "StreamArn",
        "StreamId" => "StreamId",
        "ConsumerName" => "ConsumerName",
        "ConsumerARN" => "ConsumerArn",
        "ResourceARN" => "ResourceArn",
        "QueueName" => "QueueName",
        "QueueARN" => "QueueArn",
        "ChannelName" => "ChannelName",
        "ChannelARN" => "ChannelArn",
        "KeyId" => "KeyId",
        _ => return None,
    })
}

fn token(name: &str, members: &[&str]) -> Result<&'static str, Box<dyn Error>> {
    match members {
        [] => Ok("None"),
        ["ShardIterator"] => Ok("Some(Member::ShardIterator)"),
        ["NextToken"] => Ok("Some(Member::NextToken)"),
        other => Err(format!("`{name}`: no rule for the tokens {other:?}").into()),
    }
}

/// What the authorization reference lets a policy name for the operation. Operations that it does
/// not list yet are judged by what their members name.
fn scope(name: &str, operation: &Value, members: &[&str]) -> Result<&'static str, Box<dyn Error>> {
    let filters_only = members.iter().all(|member| *member == "StreamFilter");
    let types: Vec<&str> = match operation
        .get("iam")
        .and_then(|iam| iam.get("resourceTypes"))
    {
        Some(types) => types
            .as_array()
            .ok_or("`resourceTypes` is not a list")?
            .iter()
            .map(|kind| text(kind, "name"))
            .collect::<Result<_, _>>()?,
        None if filters_only => return Ok("Account"),
        None => return Ok("Named"),
    };
    Ok(match types.as_slice() {
        [] if filters_only => "Account",
        [] => "Unscoped",
        ["consumer"] => "Consumer",
        known
            if known
                .iter()
                .all(|kind| ["channel", "consumer", "kmsKey", "stream"].contains(kind)) =>
        {
            "Named"
        }
        other => return Err(format!("`{name}`: no rule for the resource types {other:?}").into()),
    })
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, Box<dyn Error>> {
    value
        .get(key)
        .and_then(Value::as_array)
        .ok_or_else(|| format!("`{key}` is not a list").into())
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, Box<dyn Error>> {
    value
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("`{key}` is not a string").into())
}

fn strings<'a>(value: &'a Value, key: &str) -> Result<Vec<&'a str>, Box<dyn Error>> {
    list(value, key)?
        .iter()
        .map(|item| {
            item.as_str()
                .ok_or_else(|| format!("`{key}` holds no string").into())
        })
        .collect()
}
