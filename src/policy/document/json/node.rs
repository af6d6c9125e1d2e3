//! The nodes of a JSON text: values with their positions.

use std::borrow::Cow;

/// One value with the position of its text.
#[derive(Clone, Debug)]
pub struct Node<'t> {
    /// The value.
    pub kind: NodeKind<'t>,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
}

/// A value of each JSON type.
#[derive(Clone, Debug)]
pub enum NodeKind<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as in the text.
    Number(&'t str),
    /// A string, unescaped.
    String(Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// An object; names are unique.
    Map(Vec<Member<'t>>),
}

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member<'t> {
    /// Its name, unescaped.
    pub name: Cow<'t, str>,
    /// Offset of the name's opening quote.
    pub start: usize,
    /// Its value.
    pub value: Node<'t>,
}

impl<'t> Node<'t> {
    /// The value of a member, if this is an object that has it.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Node<'t>> {
        self.find(name).map(|member| &member.value)
    }

    /// A member with its name's offset, if this is an object that has it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Member<'t>> {
        match &self.kind {
            NodeKind::Map(members) => members.iter().find(|member| member.name == name),
            _ => None,
        }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Node<'t>]> {
        match &self.kind {
            NodeKind::List(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The elements of a list, or the value itself.
    #[must_use]
    pub fn one_or_many(&self) -> &[Node<'t>] {
        self.list().unwrap_or(std::slice::from_ref(self))
    }

    /// The type of the value, for messages.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "null",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a string",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "an object",
        }
    }
}
