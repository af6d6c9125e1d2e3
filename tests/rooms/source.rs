//! The modules of `src` and the paths in each of them, read with `syn`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// A path of names, from the root of the crate.
pub(crate) type Names = Vec<String>;

/// All modules of the crate, except tests.
pub(crate) struct Crate {
    modules: BTreeMap<Names, Module>,
}

/// One module, with its paths into the crate.
#[derive(Default)]
pub(crate) struct Module {
    /// Its path from the root; `main` for the program.
    pub(crate) path: Names,
    /// The file: `src/gate/mod.rs`.
    pub(crate) file: PathBuf,
    /// Paths into the crate, from the root, with the line of each.
    pub(crate) references: Vec<(Names, usize)>,
    /// Every identifier in the module.
    pub(crate) identifiers: BTreeSet<String>,
    /// The names that `use` imports, and the path of each.
    imports: BTreeMap<String, Names>,
}

impl Crate {
    /// Reads every file of `src`.
    pub(crate) fn read() -> Crate {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        walk(&root.join("src"), &mut files);
        let mut modules = BTreeMap::new();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let tree = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let relative = file.strip_prefix(root).unwrap().to_owned();
            let mut reader = Reader {
                module: Module {
                    path: module_path(&relative),
                    file: relative,
                    ..Module::default()
                },
            };
            reader.visit_file(&tree);
            modules.insert(reader.module.path.clone(), reader.module);
        }
        assert!(modules.len() > 100, "{} modules were read", modules.len());
        Crate { modules }
    }

    /// Every module but the root.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.modules
            .values()
            .filter(|module| !module.path.is_empty())
    }

    /// The module that defines the item of the path `names`, looked up through re-exports.
    pub(crate) fn defining_module(&self, names: &[String]) -> Names {
        self.follow(names, 0)
    }

    fn follow(&self, names: &[String], hops: usize) -> Names {
        let mut at = Names::new();
        for (number, name) in names.iter().enumerate() {
            let mut child = at.clone();
            child.push(name.clone());
            if self.modules.contains_key(&child) {
                at = child;
                continue;
            }
            let import = self.modules.get(&at).and_then(|it| it.imports.get(name));
            return match import {
                Some(target) if hops < 8 && target != &child => {
                    let mut whole = target.clone();
                    whole.extend_from_slice(&names[number + 1..]);
                    self.follow(&whole, hops + 1)
                }
                _ => at,
            };
        }
        at
    }
}

/// Collects the paths of one file. Code of `#[cfg(test)]` is not visited.
struct Reader {
    module: Module,
}

impl Reader {
    /// A path from the root; `None` for a path out of the crate.
    fn root_path(&self, names: &[String]) -> Option<Names> {
        let (first, rest) = names.split_first()?;
        let mut path = match first.as_str() {
            "crate" | "kinesis_gate" => Names::new(),
            "self" => self.module.path.clone(),
            "super" => {
                let mut parent = self.module.path.clone();
                parent.pop();
                let mut rest = rest;
                while rest.first().is_some_and(|name| name == "super") {
                    parent.pop();
                    rest = &rest[1..];
                }
                parent.extend_from_slice(rest);
                return Some(parent);
            }
            _ => return None,
        };
        path.extend_from_slice(rest);
        Some(path)
    }

    fn reference(&mut self, names: &[String], line: usize) {
        if let Some(path) = self.root_path(names) {
            self.module.references.push((path, line));
        }
    }

    fn bring_in(&mut self, names: &[String], name: String, line: usize) {
        self.reference(names, line);
        // `pub use child::Item` in a parent begins with the name of the child.
        let path = self.root_path(names).unwrap_or_else(|| {
            let mut path = self.module.path.clone();
            path.extend_from_slice(names);
            path
        });
        self.module.imports.insert(name, path);
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String]) {
        let line = tree.span().start().line;
        let with = |name: String| {
            let mut names = before.to_vec();
            names.push(name);
            names
        };
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.bring_in(before, last, line);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.bring_in(&with(name.clone()), name, line);
            }
            UseTree::Rename(rename) => {
                let names = with(rename.ident.to_string());
                self.bring_in(&names, rename.rename.to_string(), line);
            }
            UseTree::Glob(_) => self.reference(before, line),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
        }
    }

    /// Paths in the arguments of a macro, which are not parsed: `crate::a::b` as a run of tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut run: Names = Vec::new();
        let mut colons = 0;
        let mut line = 0;
        for tree in tokens {
            if let TokenTree::Ident(ident) = &tree {
                self.module.identifiers.insert(ident.to_string());
            }
            match tree {
                TokenTree::Ident(ident) if run.is_empty() || colons == 2 => {
                    if run.is_empty() {
                        line = ident.span().start().line;
                    }
                    run.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !run.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    self.reference(&std::mem::take(&mut run), line);
                    line = ident.span().start().line;
                    run.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                _ => {}
            }
            self.reference(&std::mem::take(&mut run), line);
            colons = 0;
        }
        self.reference(&run, line);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !item.attrs.iter().any(is_test) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
        visit::visit_item_use(self, item);
    }

    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        self.module.identifiers.insert(ident.to_string());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.reference(&names, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// Whether an attribute is `#[cfg(test)]`, alone or among others.
fn is_test(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    list.path.is_ident("cfg") && names_test(list.tokens.clone())
}

fn names_test(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => ident == "test",
        TokenTree::Group(group) => names_test(group.stream()),
        _ => false,
    })
}

/// `src/gate/mod.rs` is `gate`, `src/gate/body.rs` is `gate::body`, `src/lib.rs` the root.
fn module_path(file: &Path) -> Names {
    let mut names: Names = file
        .with_extension("")
        .iter()
        .skip(1)
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if names.last().is_some_and(|name| name == "mod") || names == ["lib"] {
        names.pop();
    }
    names
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "tests" {
            walk(&path, files);
        } else if name != "tests.rs" && path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}
