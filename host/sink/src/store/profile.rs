//! The profile files of AWS (`~/.aws/config`, `~/.aws/credentials`), which object_store does not read: static keys, a role for a
//! web identity, and the region. Whatever needs another program (SSO, `credential_process`, a chain of roles) is said to be missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment::Environment;

/// What of a profile can be used, by the names that object_store has for it.
const USABLE: [&str; 6] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "region",
    "role_arn",
    "web_identity_token_file",
];

/// The credentials and the region of the profile that the environment names, else of `default`. What the environment has itself comes first.
pub(super) fn options(environment: &Environment) -> Result<Vec<(&'static str, String)>, String> {
    let named = environment.get("AWS_PROFILE");
    let name = named.unwrap_or("default");
    let file = |variable: &str, name: &str| -> Option<PathBuf> {
        let set = environment.get(variable).map(PathBuf::from);
        set.or_else(|| Some(Path::new(environment.get("HOME")?).join(".aws").join(name)))
    };
    let mut profile = BTreeMap::new();
    for (path, title) in [
        // The order matters: keys of the credentials file come first.
        (file("AWS_CONFIG_FILE", "config"), title_of(name)),
        (file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), name.to_owned()),
    ] {
        let Some(path) = path else { continue };
        match std::fs::read_to_string(&path) {
            Ok(text) => profile.extend(section(&text, &title)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(format!("{}: {e}", path.display())),
        }
    }
    if named.is_some() && profile.is_empty() {
        return Err(format!("there is no profile {name:?} (AWS_PROFILE) in the files of ~/.aws"));
    }
    let has = |key: &str| profile.contains_key(key);
    let has_keys = has("aws_access_key_id") || has("web_identity_token_file");
    let by_others =
        ["sso_session", "sso_start_url", "credential_process", "source_profile", "credential_source"];
    let given = environment.get("AWS_ACCESS_KEY_ID").or(environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"));
    if let (Some(_), None, false, Some(key)) = (named, given, has_keys, by_others.iter().find(|key| has(key)))
    {
        return Err(format!(
            "the profile {name:?} gets its credentials by {key}, which needs another program: put them into the environment with \
             aws configure export-credentials --profile {name} --format env"
        ));
    }
    // Half of the environment's credentials and half of a profile's would be nobody's.
    let usable = USABLE.into_iter().filter(|key| *key == "region" || given.is_none());
    Ok(usable.filter_map(|key| Some((key, profile.get(key)?.clone()))).collect())
}

/// The config file has `[profile x]`, but `[default]`.
fn title_of(name: &str) -> String {
    if name == "default" { name.to_owned() } else { format!("profile {name}") }
}

fn section(text: &str, title: &str) -> BTreeMap<String, String> {
    let mut within = false;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        // An indented line belongs to the key before it: nothing that is of use here.
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            within = name.split_whitespace().eq(title.split_whitespace());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| within && !is_nested)
            && !line.starts_with(['#', ';'])
        {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# comment\n[default]\nregion = eu-1\ns3 =\n  max_concurrent_requests = 20\n[profile  work]\nregion=us-2\n\
                          [profile sso]\nsso_session = x\n";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = K\naws_secret_access_key = S=\n\n[work]\n; no\naws_access_key_id=W\n\
                               aws_secret_access_key=V\naws_session_token=T\n";

    fn read(variables: &[(&str, &str)]) -> Result<Vec<(&'static str, String)>, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        let home = home.path().display().to_string();
        options(&Environment::of(variables.iter().copied().chain([("HOME", home.as_str())])))
    }

    fn texts(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    }

    #[test]
    fn profiles() {
        let default = [("aws_access_key_id", "K"), ("aws_secret_access_key", "S="), ("region", "eu-1")];
        assert_eq!(read(&[]), Ok(texts(&default)));
        let work = [
            ("aws_access_key_id", "W"),
            ("aws_secret_access_key", "V"),
            ("aws_session_token", "T"),
            ("region", "us-2"),
        ];
        assert_eq!(read(&[("AWS_PROFILE", "work")]), Ok(texts(&work)));
        let keys = [("AWS_PROFILE", "work"), ("AWS_ACCESS_KEY_ID", "E")];
        assert_eq!(read(&keys), Ok(texts(&[("region", "us-2")])));
        let elsewhere = [("AWS_CONFIG_FILE", "/nowhere"), ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")];
        assert_eq!(read(&elsewhere), Ok(vec![]));
        let sso = read(&[("AWS_PROFILE", "sso")]).unwrap_err();
        assert!(sso.contains("by sso_session") && sso.contains("export-credentials --profile sso"), "{sso}");
        assert!(read(&[("AWS_PROFILE", "none")]).unwrap_err().contains("no profile \"none\""));
    }
}
