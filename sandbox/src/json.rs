//! A JSON answer as text, member by member.
//!
//! Not `serde_json::Value`, because the faults need what it cannot hold: a key twice, a number
//! outside every range, members in a fixed order.

/// A value: finished JSON text, or an object whose members can still be changed.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Raw(String),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn object() -> Node {
        Node::Object(Vec::new())
    }

    pub(crate) fn string(text: &str) -> Node {
        // Serializing a string cannot fail; `null` is never reached.
        Node::Raw(serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned()))
    }

    /// Adds a member, builder style.
    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Node {
        self.push(key, Node::Raw(value.to_string()));
        self
    }

    pub(crate) fn with_node(mut self, key: &str, value: Node) -> Node {
        self.push(key, value);
        self
    }

    fn push(&mut self, key: &str, value: Node) {
        if let Node::Object(members) = self {
            members.push((key.to_owned(), value));
        }
    }

    /// The text of the member at a dotted path.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut node = self;
        for key in path.split('.') {
            let Node::Object(members) = node else {
                return None;
            };
            node = &members.iter().find(|(name, _)| name == key)?.1;
        }
        Some(node.to_string())
    }

    /// Sets the member at a dotted path, making it if it is not there.
    pub(crate) fn set(&mut self, path: &str, json: &str) {
        let Some((members, key)) = self.parent(path) else {
            return;
        };
        let value = Node::Raw(json.to_owned());
        match members.iter_mut().find(|(name, _)| name == key) {
            Some(member) => member.1 = value,
            None => members.push((key.to_owned(), value)),
        }
    }

    /// Adds the member a second time.
    pub(crate) fn repeat(&mut self, path: &str, json: &str) {
        if let Some((members, key)) = self.parent(path) {
            members.push((key.to_owned(), Node::Raw(json.to_owned())));
        }
    }

    pub(crate) fn remove(&mut self, path: &str) {
        if let Some((members, key)) = self.parent(path) {
            members.retain(|(name, _)| name != key);
        }
    }

    fn parent<'p>(&mut self, path: &'p str) -> Option<(&mut Vec<(String, Node)>, &'p str)> {
        let Node::Object(members) = self else {
            return None;
        };
        match path.split_once('.') {
            None => Some((members, path)),
            Some((first, rest)) => members.iter_mut().find(|(name, _)| name == first)?.1.parent(rest),
        }
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let members = match self {
            Node::Raw(text) => return f.write_str(text),
            Node::Object(members) => members,
        };
        f.write_str("{")?;
        for (index, (key, value)) in members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{value}", Node::string(key))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn members_can_be_set_removed_and_repeated() {
        let status = Node::object().with("code", 200).with("success", true);
        let mut node = Node::object().with_node("status", status).with("auth", "null");
        node.set("status.code", "1");
        node.repeat("status.code", "2");
        node.remove("auth");
        node.set("new", "\"x\"");
        assert_eq!(node.to_string(), r#"{"status":{"code":1,"success":true,"code":2},"new":"x"}"#);
        assert_eq!(node.get("status.code").as_deref(), Some("1"));
        assert_eq!(node.get("nothing"), None);
    }
}
