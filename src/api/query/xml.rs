//! Answers and errors as XML.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::api::error::WireError;

/// An error in the shape of the query protocol.
#[must_use]
pub fn error(namespace: &str, request_id: &str, error: &WireError) -> String {
    let who = if error.status < 500 { "Sender" } else { "Receiver" };
    let mut text = format!("<ErrorResponse xmlns=\"{namespace}\">\n  <Error>\n    <Type>{who}</Type>\n");
    let mut line = |name: &str, value: &str| {
        text.push_str("    ");
        element(&mut text, name, value);
        text.push('\n');
    };
    line("Code", &error.code);
    line("Message", error.message.as_deref().unwrap_or_default());
    let _written = write!(text, "  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n");
    text
}

/// An answer: the result's members as elements, lists as `member`s.
#[must_use]
pub fn answer(namespace: &str, operation: &str, result: &Map<String, Value>, request_id: &str) -> String {
    let mut text = format!("<{operation}Response xmlns=\"{namespace}\">\n");
    if !result.is_empty() {
        let _written = write!(text, "<{operation}Result>");
        members(&mut text, result);
        let _written = writeln!(text, "</{operation}Result>");
    }
    let _written = write!(
        text,
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\n</{operation}Response>\n"
    );
    text
}

fn members(text: &mut String, members: &Map<String, Value>) {
    for (name, member) in members {
        value(text, name, member);
    }
}

fn value(text: &mut String, name: &str, value_of: &Value) {
    match value_of {
        Value::Null => {}
        Value::String(words) => element(text, name, words),
        Value::Bool(_) | Value::Number(_) => element(text, name, &value_of.to_string()),
        Value::Object(inner) => {
            let _written = write!(text, "<{name}>");
            members(text, inner);
            let _written = write!(text, "</{name}>");
        }
        Value::Array(items) => {
            let _written = write!(text, "<{name}>");
            for item in items {
                value(text, "member", item);
            }
            let _written = write!(text, "</{name}>");
        }
    }
}

fn element(text: &mut String, name: &str, words: &str) {
    let _written = write!(text, "<{name}>");
    for character in words.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\r' => text.push_str("&#xD;"),
            '\t' | '\n' => text.push(character),
            // XML 1.0 has no way to write the other control characters.
            character if character.is_control() => text.push('\u{fffd}'),
            character => text.push(character),
        }
    }
    let _written = write!(text, "</{name}>");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_the_shape_that_clients_read() {
        let Value::Object(result) =
            json!({"User": {"UserName": "a<b", "Tags": [{"Key": "k"}], "Empty": [], "N": 1, "None": null}})
        else {
            panic!()
        };
        assert_eq!(
            answer("ns", "GetUser", &result, "id"),
            "<GetUserResponse xmlns=\"ns\">\n<GetUserResult><User><UserName>a&lt;b</UserName><Tags><member><Key>k</Key></member>\
             </Tags><Empty></Empty><N>1</N></User></GetUserResult>\n<ResponseMetadata><RequestId>id</RequestId>\
             </ResponseMetadata>\n</GetUserResponse>\n"
        );
        assert!(!answer("ns", "DeleteUser", &Map::new(), "id").contains("Result>"));
    }

    #[test]
    fn an_error_names_its_code_and_whose_fault_it_is() {
        let text = error("ns", "id", &WireError::new("NoSuchEntity", "no \"x\" & y\u{1}"));
        assert!(text.contains("<Type>Sender</Type>\n    <Code>NoSuchEntity</Code>"), "{text}");
        assert!(text.contains("<Message>no &quot;x&quot; &amp; y\u{fffd}</Message>"), "{text}");
        assert!(error("ns", "id", &WireError::new("X", "").with_status(500)).contains("Receiver"));
    }
}
