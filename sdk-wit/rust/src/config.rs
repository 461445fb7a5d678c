//! A plugin's configuration: JSON into the author's type, with errors that name the key.

use serde::de::DeserializeOwned;

/// No configuration at all stands for an empty object, so that a plugin whose keys all have defaults needs none.
pub(crate) fn parse<C: DeserializeOwned>(json: &str) -> Result<C, String> {
    match json.trim() {
        "" | "null" => read("{}").or_else(|missing| read("null").map_err(|_| missing)),
        json => read(json),
    }
}

fn read<C: DeserializeOwned>(json: &str) -> Result<C, String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let config = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match path.as_str() {
            "." => describe(&inner),
            path => format!("{path}: {}", describe(&inner)),
        }
    })?;
    deserializer.end().map_err(|error| describe(&error))?;
    Ok(config)
}

/// Without line and column: the operator wrote TOML, and the JSON between is not theirs to look at.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) if !error.is_syntax() && !error.is_eof() => text[..at].to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        projects: BTreeMap<String, Project>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Project {
        #[expect(dead_code, reason = "only its type matters")]
        rate: f64,
    }

    #[test]
    fn errors_name_the_key() {
        for (json, want) in [
            (
                r#"{"projects":{"42":{"rate":"high"}}}"#,
                "projects.42.rate: invalid type: string \"high\", expected f64",
            ),
            (r#"{"projects":{"42":{}}}"#, "projects.42: missing field `rate`"),
            (r#"{"projects":{"42":{"rat":1}}}"#, "projects.42.rat: unknown field `rat`, expected `rate`"),
            (r#"{"project":1}"#, "project: unknown field `project`, expected `projects`"),
            ("[1]", "[0]: invalid type: integer `1`, expected a map"),
            ("{} x", "trailing characters at line 1 column 4"),
        ] {
            let got = parse::<Config>(json).unwrap_err();
            assert!(got.starts_with(want), "{json}: {got}");
        }
        assert_eq!(parse::<Option<u8>>(""), Ok(None));
        assert_eq!(parse::<u8>("null"), Err("invalid type: map, expected u8".into()));
        for good in ["", " ", "null", "{}", r#"{"projects":{"1":{"rate":1}}}"#] {
            assert_eq!(
                parse::<Config>(good).map(|c| c.projects.len()).unwrap(),
                good.len().min(20) / 20,
                "{good}"
            );
        }
    }
}
