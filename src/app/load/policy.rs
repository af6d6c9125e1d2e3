//! Policy documents: compiled, with notices for the operator.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Problem, Problems};
use crate::kinesis::ACTION_NAMES;
use crate::policy::{Attachment, Diagnostic, Key, Knowledge, Listener, Options, Policy, lint};

use super::loader::{Loader, unreadable};

/// Compiles a policy document for Kinesis' actions.
///
/// # Errors
/// Every problem of the document, at once.
pub fn compile(text: &str, file: &Path, attachment: Attachment) -> Result<Policy, Vec<Problem>> {
    Policy::compile(text, &options(attachment)).map_err(|diagnostics| {
        let diagnostics = diagnostics.into_iter();
        diagnostics.map(|it| problem(it, file)).collect()
    })
}

/// Whether a listener can know a condition key, or that the key is absent. A listener knows
/// `aws:SourceVpc` if its endpoint states the VPC.
#[must_use]
pub fn knows(key: Key<'_>, vpc_is_stated: bool) -> bool {
    match (key.in_passthrough(), key) {
        (Knowledge::Known | Knowledge::Absent, _) | (_, Key::SourceVpce) => true,
        (_, Key::SourceVpc) => vpc_is_stated,
        _ => false,
    }
}

/// Adds the problems of the named policy documents to those of the configuration, so that all are
/// reported at once.
pub(super) fn with_documents(mut problems: Problems, text: &str, file: &Path) -> Problems {
    for named in config::named_documents(text, file) {
        let attachment = match named.is_identity_policy {
            true => Attachment::Identity,
            false => Attachment::Endpoint,
        };
        let problems_of = match std::fs::read_to_string(&named.file) {
            Ok(text) => compile(&text, &named.file, attachment).err(),
            Err(error) => Some(vec![unreadable(file, &named.path, &named.file, &error)]),
        };
        problems.0.extend(problems_of.into_iter().flatten());
    }
    problems
}

impl Loader<'_> {
    /// Reads and compiles a document. Returns the policy and its name.
    pub(super) fn policy(
        &mut self,
        path: &str,
        file: &Path,
        attached_to: &str,
        endpoint: Option<&config::Endpoint>,
    ) -> Option<(Arc<str>, Policy)> {
        let (layer, attachment) = match endpoint {
            Some(_) => ("endpoint", Attachment::Endpoint),
            None => ("identity", Attachment::Identity),
        };
        let text = self.read(path, file)?;
        match compile(&text, file, attachment) {
            Ok(policy) => {
                self.notices
                    .extend(notices(&text, file, attachment, endpoint));
                let name = file.display().to_string();
                self.inventory.add_policy(layer, &name, &text, attached_to);
                Some((name.into(), policy))
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }
}

/// Notices for the operator about a valid policy, such as statements that depend on facts unknown
/// to this gate.
fn notices(
    text: &str,
    file: &Path,
    attachment: Attachment,
    endpoint: Option<&config::Endpoint>,
) -> impl Iterator<Item = Problem> {
    let knows = |key: Key<'_>| listener_knows(key, endpoint);
    let listener = Listener {
        knows: &knows,
        knows_principal_arn: knows(Key::PrincipalArn),
    };
    let diagnostics = lint(text, &options(attachment), Some(&listener));
    diagnostics.into_iter().map(|it| problem(it, file))
}

/// As [`knows`], for the listeners of this endpoint, or with `None` for those of all endpoints.
fn listener_knows(key: Key<'_>, endpoint: Option<&config::Endpoint>) -> bool {
    let stated = |of: fn(&config::Endpoint) -> bool| endpoint.is_none_or(of);
    match key {
        Key::SourceVpcArn => stated(|it| it.vpc.is_some() && it.account.is_some()),
        Key::VpceAccount => stated(|it| it.account.is_some()),
        Key::VpceOrgId => stated(|it| it.org_id.is_some()),
        Key::VpceOrgPaths => stated(|it| it.org_paths.is_some()),
        Key::PrincipalArn | Key::Username if endpoint.is_some_and(|it| it.principal.is_some()) => {
            true
        }
        key if endpoint.is_some_and(|it| it.re_sign.is_some())
            && matches!(key.in_resign(), Knowledge::Known | Knowledge::Absent) =>
        {
            true
        }
        key => knows(key, stated(|it| it.vpc.is_some())),
    }
}

fn problem(diagnostic: Diagnostic, file: &Path) -> Problem {
    Problem {
        file: file.to_owned(),
        position: Some((diagnostic.line as usize, diagnostic.column as usize)),
        path: diagnostic.path,
        message: match diagnostic.fix {
            Some(fix) => format!("{}; {fix}", diagnostic.message),
            None => diagnostic.message,
        },
    }
}

/// Options to compile documents with.
pub(super) fn options(attachment: Attachment) -> Options<'static> {
    let options = match attachment {
        Attachment::Endpoint => Options::ENDPOINT,
        Attachment::Identity => Options::IDENTITY,
    };
    Options {
        actions: ACTION_NAMES,
        ..options
    }
}
