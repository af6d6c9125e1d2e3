//! Parts that many statements have in common, kept once. A decision among thousands of statements
//! waits for memory more than it compares: what all of them share stays in the cache.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::policy::principal::PrincipalElement;
use crate::policy::resource::ResourcePattern;
use crate::policy::statement::Statement;

/// Lets statements share their lists of principals and the beginnings of their ARNs.
pub(in crate::policy) fn share(statements: &mut [Statement]) {
    let (mut lists, mut scopes) = (HashSet::new(), HashSet::new());
    for statement in statements {
        if let PrincipalElement::Listed(forms) = &mut statement.principal {
            keep_once(forms, &mut lists);
        }
        for pattern in &mut statement.resources.patterns {
            if let ResourcePattern::Arn(pattern) = pattern {
                keep_once(&mut pattern.scope, &mut scopes);
            }
        }
    }
}

fn keep_once<T: Hash + Eq + ?Sized>(part: &mut Arc<T>, kept: &mut HashSet<Arc<T>>) {
    match kept.get(part) {
        Some(known) => *part = Arc::clone(known),
        None => {
            kept.insert(Arc::clone(part));
        }
    }
}
