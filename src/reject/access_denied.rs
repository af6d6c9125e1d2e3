//! Access denied: explicit deny and implicit deny in the words of AWS.

use std::borrow::Cow;
use std::fmt;

/// A denial by a policy. Its `Display` is the message that AWS sends
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>).
#[derive(Debug)]
pub struct AccessDenied {
    /// The principal's ARN, as far as it is known.
    pub principal: String,
    /// `kinesis:PutRecord`.
    pub action: Cow<'static, str>,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Whether a statement denies (explicit deny); otherwise no statement allows (implicit deny).
    pub is_explicit: bool,
    /// The type of the policy that decided.
    pub policy_type: PolicyType,
}

/// The type of a policy
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#access_policy-types>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyType {
    /// The policy of the VPC endpoint.
    VpcEndpoint,
    /// A policy of the principal.
    Identity,
}

impl fmt::Display for AccessDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AccessDenied {
            principal,
            action,
            resource,
            ..
        } = self;
        let (article, policy) = match self.policy_type {
            PolicyType::VpcEndpoint => ("a", "VPC endpoint"),
            PolicyType::Identity => ("an", "identity-based"),
        };
        write!(
            f,
            "User: {principal} is not authorized to perform: {action} on resource: {resource} "
        )?;
        match self.is_explicit {
            true => write!(f, "with an explicit deny in {article} {policy} policy"),
            false => write!(f, "because no {policy} policy allows the {action} action"),
        }
    }
}
