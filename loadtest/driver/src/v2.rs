//! Version 2's send: with a client id, so that it may be repeated.

use serde_json::json;

pub fn send_path(chat_id: &str) -> String {
    format!("/v2/chats/{chat_id}/messages")
}

/// A send's body. Client ids grow, as those of pychat's own clients do.
pub fn message(text: &str, number: usize) -> String {
    json!({"text": text, "client_id": format!("{number:012}")}).to_string()
}
