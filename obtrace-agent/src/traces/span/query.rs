//! URL queries without their secrets.

use obtrace_protocols::http::is_credential;

/// What stands for a value that is not told.
const REDACTED: &str = "REDACTED";

/// The query with the values of sensitive parameters replaced: of those whose values the parsers conceal, and of `more`.
pub(super) fn scrub(query: &str, more: &[String]) -> String {
    let mut out = String::with_capacity(query.len());
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if is_sensitive(name, more) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            _ => out.push_str(pair),
        }
    }
    out
}

fn is_sensitive(name: &str, more: &[String]) -> bool {
    // A name can be escaped to look like another.
    name.contains('%') || is_credential(name) || more.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_credentials_are_replaced() {
        let more = ["pin".to_owned()];
        for (query, expected) in [
            ("a=1&b=2", "a=1&b=2"),
            ("sig=abc&x=1", "sig=REDACTED&x=1"),
            (
                "AWSAccessKeyId=k&Signature=s&X-Goog-Signature=g",
                "AWSAccessKeyId=REDACTED&Signature=REDACTED&X-Goog-Signature=REDACTED",
            ),
            ("Access_Token=t=u&&flag", "Access_Token=REDACTED&&flag"),
            ("PIN=1234", "PIN=REDACTED"),
            ("code=404&sort_key=a&app_key=b", "code=REDACTED&sort_key=a&app_key=REDACTED"),
            ("%70assword=x", "%70assword=REDACTED"),
            ("", ""),
        ] {
            assert_eq!(scrub(query, &more), expected);
        }
    }
}
