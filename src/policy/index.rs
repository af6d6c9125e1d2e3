//! Index.
use super::StatementId;
use super::decision::Decision;
use super::request::Request;
use super::statement::{Search, Statement};
#[derive(Debug)]
pub(super) struct Index;
impl Index {
    pub(super) fn of(_: &[Statement], _: &[&str]) -> Option<Index> {
        None
    }
    pub(super) fn decide(&self, statements: &[Statement], request: &Request<'_>) -> Decision {
        let mut search = Search::new(request);
        for (statement, id) in statements.iter().zip(0..) {
            search.consider(StatementId(id), statement);
        }
        search.decision()
    }
}
