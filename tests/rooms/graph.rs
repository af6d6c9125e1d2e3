//! Arrows between the modules of one folder, and circles of arrows.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Crate;

/// One module of a folder imports another module of the same folder.
pub(crate) struct Edge {
    /// The name of the importing module; its submodules count as that module.
    pub(crate) from: String,
    /// The name of the imported module, or of the module above it.
    pub(crate) to: String,
    /// The first import: `src/gate/body.rs:12`.
    pub(crate) place: String,
}

/// The arrows by folder: the empty name holds the rooms, `policy::condition` that folder's modules.
/// An item of a parent counts where it is defined, and a parent may import its children.
pub(crate) fn edges(all: &Crate) -> BTreeMap<String, Vec<Edge>> {
    let mut found: BTreeMap<String, Vec<Edge>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for module in all.modules() {
        for (names, line) in &module.references {
            let target = all.defining_module(names);
            let shared = module
                .path
                .iter()
                .zip(&target)
                .take_while(|(a, b)| a == b)
                .count();
            let (Some(from), Some(to)) = (module.path.get(shared), target.get(shared)) else {
                continue;
            };
            let folder = module.path[..shared].join("::");
            if seen.insert((folder.clone(), from.clone(), to.clone())) {
                found.entry(folder).or_default().push(Edge {
                    from: from.clone(),
                    to: to.clone(),
                    place: format!("{}:{line}", module.file.display()),
                });
            }
        }
    }
    found
}

/// The sets of modules that reach each other, each sorted.
pub(crate) fn circles(edges: &[Edge]) -> Vec<Vec<&str>> {
    let names: BTreeSet<&str> = edges.iter().map(|edge| edge.from.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> = names
        .iter()
        .map(|name| (*name, reach(name, edges)))
        .collect();
    let mut found = BTreeSet::new();
    for name in names {
        let circle: Vec<&str> = reached[name]
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|it| it.contains(name)))
            .copied()
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// The modules that the arrows of one module reach, directly or not.
fn reach<'e>(name: &str, edges: &'e [Edge]) -> BTreeSet<&'e str> {
    let mut found = BTreeSet::new();
    let mut next = vec![name];
    while let Some(from) = next.pop() {
        for edge in edges.iter().filter(|edge| edge.from == from) {
            if found.insert(edge.to.as_str()) {
                next.push(&edge.to);
            }
        }
    }
    found
}
