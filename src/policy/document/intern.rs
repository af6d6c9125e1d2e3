//! Interning: statements share their equal parts. A decision among thousands of statements spends
//! more time on memory than on comparisons, and shared parts stay in the cache.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::policy::principal::PrincipalElement;
use crate::policy::resource::ResourcePattern;
use crate::policy::statement::Statement;

/// Makes statements share their equal lists of principals and equal prefixes of ARNs.
pub(in crate::policy) fn intern(statements: &mut [Statement]) {
    let (mut principals, mut prefixes) = (HashSet::new(), HashSet::new());
    for statement in statements {
        if let PrincipalElement::AnyOf(list) = &mut statement.principal {
            share(list, &mut principals);
        }
        for pattern in &mut statement.resources.patterns {
            if let ResourcePattern::Arn(pattern) = pattern {
                share(&mut pattern.prefix, &mut prefixes);
            }
        }
    }
}

fn share<T: Hash + Eq + ?Sized>(part: &mut Arc<T>, interned: &mut HashSet<Arc<T>>) {
    match interned.get(part) {
        Some(equal) => *part = Arc::clone(equal),
        None => {
            interned.insert(Arc::clone(part));
        }
    }
}
