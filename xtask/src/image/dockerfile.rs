//! What a Dockerfile says, to compare it with what is built without an engine.

use serde_json::{Map, Value};

/// Its instructions, each with what it says on one line.
pub(super) struct Dockerfile(Vec<(String, String)>);

impl Dockerfile {
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let one = |line: &str| line.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()));
        Self(text.lines().filter_map(one).collect())
    }

    /// What the image of its last stage runs with; that stage may only copy what the first has made.
    pub(super) fn config(&self) -> Value {
        let last_stage = self.0.iter().rposition(|(name, _)| name == "FROM").unwrap();
        let mut said = Map::new();
        for (name, text) in &self.0[last_stage..] {
            let list = || serde_json::from_str::<Value>(text).unwrap();
            match name.as_str() {
                "USER" => said.insert("User".into(), text.as_str().into()),
                "WORKDIR" => said.insert("WorkingDir".into(), text.as_str().into()),
                "ENTRYPOINT" => said.insert("Entrypoint".into(), list()),
                "CMD" => said.insert("Cmd".into(), list()),
                "ENV" => said.insert("Env".into(), pairs(text).iter().map(|(n, v)| format!("{n}={v}")).collect()),
                "LABEL" => said.insert(
                    "Labels".into(),
                    Value::Object(pairs(text).into_iter().map(|(n, v)| (n, v.into())).collect()),
                ),
                "COPY" => {
                    assert_eq!(text, "--from=build /image/ /");
                    None
                }
                other => {
                    assert_eq!((other, text.as_str()), ("FROM", "scratch"));
                    None
                }
            };
        }
        Value::Object(said)
    }

    /// The builder has the compiler that is used here and runs `command`; the words of what it installs before that.
    pub(super) fn check_builder(&self, command: &str) -> Vec<String> {
        let run: Vec<_> = self.0.iter().filter(|(name, _)| name == "RUN").map(|(_, text)| text.as_str()).collect();
        let [install, build] = run[..] else { panic!("{run:?}") };
        assert_eq!(build, command);
        let (_, from) = &self.0[0];
        let compiler = from.strip_prefix("rust:").and_then(|rest| rest.strip_suffix("-bookworm AS build")).unwrap();
        let minimum = env!("CARGO_PKG_RUST_VERSION");
        let number = |text: &str| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
        assert!(number(compiler) >= number(minimum) && number(compiler).len() == 3, "{compiler} for {minimum}");
        install.split_whitespace().map(str::to_owned).collect()
    }
}

/// `NAME=value` or `NAME="a value"`, several of them.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        found.push((name.trim().to_owned(), value.to_owned()));
        rest = after;
    }
    found
}
