//! `[[endpoint]]` and `[[identity-policy]]`: endpoints with their policies, audit mode and candidates.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::parse::{FromTable, Table};
use super::re_sign::{Authenticate, ReSign};

/// `[[endpoint]]`: one VPC endpoint that this process stands for.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `aws:SourceVpce`.
    pub id: String,
    /// `aws:SourceVpc`; if absent, conditions on the key are unknowable.
    pub vpc: Option<String>,
    /// The region of the Kinesis service behind this endpoint.
    pub region: String,
    /// The networks of its clients. Clients of other networks are refused. If empty, any network.
    pub networks: Vec<IpNet>,
    /// The endpoint policy.
    pub policy: EndpointPolicy,
    /// Whether denials are enforced.
    pub mode: Mode,
    /// The candidate: an endpoint policy that is evaluated beside the one in force.
    pub candidate: Option<PathBuf>,
    /// The ARN of the only principal behind the endpoint, if the endpoint serves one workload.
    pub principal: Option<String>,
    /// `aws:VpceAccount`, and with it `aws:SourceVpcArn`.
    pub account: Option<String>,
    /// `aws:VpceOrgID`.
    pub org_id: Option<String>,
    /// `aws:VpceOrgPaths`.
    pub org_paths: Option<Vec<String>>,
    /// If present, the gate authenticates clients and re-signs requests. If absent, the client's
    /// signature passes through untouched.
    pub re_sign: Option<ReSign>,
}

/// How the gate handles a request that the policies of an endpoint deny.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The gate answers the request as AWS would.
    #[default]
    Enforce,
    /// The gate records the denial and forwards the request.
    Audit,
}

/// The policy of an endpoint.
#[derive(Debug, Clone)]
pub enum EndpointPolicy {
    /// A policy document.
    File(PathBuf),
    /// `default-full-access = true`: AWS's default, said in words.
    FullAccess,
}

/// `[[identity-policy]]`: a policy attached to principals, as IAM attaches one to a user or role.
#[derive(Debug, Clone)]
pub struct IdentityPolicy {
    /// The document.
    pub file: PathBuf,
    /// `*`, account ids, or ARNs.
    pub principals: Vec<String>,
    /// Whether the policy is a candidate, evaluated beside the policies in force.
    pub is_candidate: bool,
}

impl Endpoint {
    /// The file of local credentials, where clients authenticate by signature.
    pub fn local_credentials(&self) -> Option<&Path> {
        match &self.re_sign.as_ref()?.authenticate {
            Authenticate::Sigv4(file) => Some(file),
            Authenticate::Mtls | Authenticate::Loopback => None,
        }
    }
}

impl FromTable for Endpoint {
    fn from_table(table: &mut Table<'_>) -> Option<Endpoint> {
        let modes = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];
        Some(Endpoint {
            id: table.required("id").unwrap_or_default(),
            vpc: table.optional("vpc"),
            region: table.required("region").unwrap_or_default(),
            networks: table.optional("networks").unwrap_or_default(),
            policy: endpoint_policy(table).unwrap_or(EndpointPolicy::File(PathBuf::new())),
            mode: table.choice("mode", &modes).unwrap_or_default(),
            candidate: table.optional("candidate"),
            principal: table.optional("principal"),
            account: table.optional("vpce-account"),
            org_id: table.optional("vpce-org-id"),
            org_paths: table.optional("vpce-org-paths"),
            re_sign: table.optional("re-sign"),
        })
    }
}

fn endpoint_policy(table: &mut Table<'_>) -> Option<EndpointPolicy> {
    let file = table.optional("policy");
    match (file, table.optional("default-full-access").unwrap_or(false)) {
        (Some(file), false) => Some(EndpointPolicy::File(file)),
        (None, true) => Some(EndpointPolicy::FullAccess),
        (Some(_), true) => table.refuse("both `policy` and `default-full-access`: keep one"),
        (None, false) => table.refuse(
            "no `policy`: name a policy file, or write `default-full-access = true` for AWS's \
             default, which allows everything",
        ),
    }
}

impl FromTable for IdentityPolicy {
    fn from_table(table: &mut Table<'_>) -> Option<IdentityPolicy> {
        let policy = IdentityPolicy {
            file: table.required("file").unwrap_or_default(),
            principals: table.required("principals").unwrap_or_default(),
            is_candidate: table
                .choice("mode", &[("enforce", false), ("candidate", true)])
                .unwrap_or(false),
        };
        table.sound()?;
        table.refuse_if(
            policy.principals.is_empty(),
            "`principals` is empty: the policy would hold for nobody",
        );
        Some(policy)
    }
}
