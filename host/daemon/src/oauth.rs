//! Tokens for SASL/OAUTHBEARER from an OpenID provider: the client-credentials grant of RFC 6749, section 4.4.

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use host_queue::{Oidc, Token, TokenSource};
use serde_json::Value;

use crate::clock;

const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Where neither the token nor the answer says how long it holds.
const LIFE_SECONDS: i64 = 300;
/// How much of an answer is shown where it is no token.
const SHOWN_CHARS_MAX: usize = 200;

/// Asks the provider for a token each time it is called.
pub fn tokens(oidc: Oidc) -> TokenSource {
    std::sync::Arc::new(move || fetch(&oidc).map_err(|e| format!("{}: {e:#}", oidc.endpoint)))
}

fn fetch(oidc: &Oidc) -> anyhow::Result<Token> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_TIME_MAX))
        .http_status_as_error(false)
        .build()
        .into();
    let basic = BASE64_STANDARD.encode(format!("{}:{}", oidc.client_id, oidc.client_secret));
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(oidc.scope.as_deref().map(|scope| ("scope", scope)));
    let request = agent.post(&oidc.endpoint).header("Authorization", format!("Basic {basic}"));
    let mut answer = request.send_form(form)?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string()?;
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    ensure!(status.is_success(), "it answered {status}: {shown}");
    let answer: Value = serde_json::from_str(&text).context("its answer is no JSON")?;
    let token = answer["access_token"].as_str().context("its answer has no access_token")?.to_owned();
    let claims = claims(&token).unwrap_or_default();
    let life = answer["expires_in"].as_i64().unwrap_or(LIFE_SECONDS);
    let ends_at = claims["exp"].as_i64().map_or(clock::now() + life * 1000, |exp| exp * 1000);
    let principal = claims["sub"].as_str().unwrap_or(&oidc.client_id).to_owned();
    Ok(Token { token, principal, ends_at })
}

/// The second part of a JSON Web Token. Nothing is proven here: the broker does that.
fn claims(token: &str) -> Option<Value> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
