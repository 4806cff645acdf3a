//! Label selectors.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Whether a selector means an object with these labels, as the [API conventions] have it: everything in it must hold, an empty one
/// means all, and an operator that is not known means none.
///
/// [API conventions]: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/
///
/// ```
/// use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
/// use obtrace_operator::selector::matches;
///
/// let selector: LabelSelector = serde_json::from_str(r#"{"matchLabels":{"app":"shop"}}"#).unwrap();
/// assert!(matches(&selector, |name| (name == "app").then_some("shop")));
/// assert!(!matches(&selector, |_| None));
/// ```
pub fn matches<'a>(selector: &LabelSelector, label: impl Fn(&str) -> Option<&'a str>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(name, value)| label(name) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|requirement| {
            let value = label(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|it| it == value));
            match requirement.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(selector: &str) -> bool {
        let selector: LabelSelector = serde_json::from_str(selector).unwrap();
        let labels = [("app", "shop"), ("tier", "")];
        matches(&selector, |name| labels.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
    }

    #[test]
    fn each_operator_does_what_kubernetes_says() {
        let cases = [
            (r#"{}"#, true),
            (r#"{"matchLabels":{"app":"shop","tier":""}}"#, true),
            (r#"{"matchLabels":{"app":"shop","other":""}}"#, false),
            (r#"{"matchExpressions":[{"key":"app","operator":"In","values":["a","shop"]}]}"#, true),
            (r#"{"matchExpressions":[{"key":"none","operator":"In","values":["a"]}]}"#, false),
            (r#"{"matchExpressions":[{"key":"app","operator":"NotIn","values":["a"]}]}"#, true),
            (r#"{"matchExpressions":[{"key":"app","operator":"NotIn","values":["shop"]}]}"#, false),
            (r#"{"matchExpressions":[{"key":"none","operator":"NotIn","values":["a"]}]}"#, true),
            (r#"{"matchExpressions":[{"key":"tier","operator":"Exists"}]}"#, true),
            (r#"{"matchExpressions":[{"key":"none","operator":"DoesNotExist"}]}"#, true),
            (r#"{"matchExpressions":[{"key":"app","operator":"DoesNotExist"}]}"#, false),
            (r#"{"matchExpressions":[{"key":"app","operator":"Like","values":["shop"]}]}"#, false),
            (r#"{"matchLabels":{"app":"shop"},"matchExpressions":[{"key":"none","operator":"Exists"}]}"#, false),
        ];
        for (selector, expected) in cases {
            assert_eq!(holds(selector), expected, "{selector}");
        }
    }
}
