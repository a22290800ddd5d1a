//! The two versions of the HTTP contract.

use super::send::MAX_BODY;

/// Decides the form of an error and the bound of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    V1,
    V2,
}

impl Contract {
    /// The version that a request for this path is under; the first one's habits hold for all that is not `/v2`.
    pub fn of(path: &str) -> Self {
        match path.strip_prefix("/v2") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::V2,
            _ => Self::V1,
        }
    }

    /// Bytes a request's body may have.
    pub fn max_body(self) -> usize {
        match self {
            Self::V1 => MAX_BODY,
            Self::V2 => 65_536,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Contract;

    #[test]
    fn the_path_names_the_version() {
        for path in ["/v2", "/v2/", "/v2/chats", "/v2//"] {
            assert_eq!(Contract::of(path), Contract::V2, "{path}");
        }
        for path in ["", "/", "/v1/chats", "/v20/chats", "/v2chats", "/V2/chats", "//v2/chats", "/ping"] {
            assert_eq!(Contract::of(path), Contract::V1, "{path}");
        }
    }
}
