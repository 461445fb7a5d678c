//! The client of a running process.

use std::time::Duration;

use anyhow::Context;
use host_pipeline::generation::{Action, GenerationError, Manifest};
use host_pipeline::trial::Report;
use serde::de::DeserializeOwned;
use ureq::http::StatusCode;

use super::{Change, Control, Shown, Summary};
use crate::admin::{ChangeRequest, Failure};

/// Compiling a large component takes a while.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(300);

pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Client {
    pub fn new(url: &str, token: Option<String>) -> Client {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIME_MAX))
            .http_status_as_error(false)
            .build();
        Client { agent: config.into(), url: url.trim_end_matches('/').to_owned(), token }
    }

    fn address(&self, path: &str) -> String {
        format!("{}/pipeline{path}", self.url)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.agent.get(self.address(path)).call();
        self.read(answer)
    }

    fn change(&self, request: &ChangeRequest) -> anyhow::Result<Manifest> {
        let request = serde_json::to_vec(request)?;
        let post = self.agent.post(self.address("/changes")).header("content-type", "application/json");
        let answer = self.authorized(post).send(&request);
        self.read(answer)
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<T> {
        let text = self.text(answer)?;
        serde_json::from_str(&text).with_context(|| format!("{} answered with something else", self.url))
    }

    fn text(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<String> {
        let unreachable =
            || format!("{}: no tamis answers there (--admin URL, or --store URL without one)", self.url);
        let mut answer = answer.with_context(unreachable)?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string()?;
        if status.is_success() {
            return Ok(text);
        }
        match serde_json::from_str::<Failure>(&text) {
            Ok(Failure { newest: Some(found), .. }) if status == StatusCode::CONFLICT => {
                Err(GenerationError::Raced { expected: found.generation.saturating_sub(1), found }.into())
            }
            Ok(failure) => Err(anyhow::anyhow!("{}", failure.error)),
            Err(_) => Err(anyhow::anyhow!("{} answered {status}: {}", self.url, text.trim())),
        }
    }
}

impl Control for Client {
    fn show(&self) -> anyhow::Result<Shown> {
        self.get("")
    }

    fn history(&self, most: Option<usize>) -> anyhow::Result<Vec<Summary>> {
        self.get(&most.map_or_else(|| "/history".to_owned(), |most| format!("/history?most={most}")))
    }

    fn read(&self, generation: u64) -> anyhow::Result<Manifest> {
        self.get(&format!("/generations/{generation}"))
    }

    fn report(&self) -> anyhow::Result<Report> {
        self.get("/report")
    }

    fn publish(&self, change: Change, components: &[(String, Vec<u8>)]) -> anyhow::Result<Manifest> {
        for (digest, bytes) in components {
            let put = self.agent.put(self.address(&format!("/components/{digest}")));
            let put = put.header("content-type", "application/wasm");
            let answer = self.authorized(put).send(&bytes[..]);
            self.text(answer)?;
        }
        self.change(&ChangeRequest::Publish(change))
    }

    fn rollback(&self, to: Option<u64>, note: String) -> anyhow::Result<Manifest> {
        self.change(&ChangeRequest::Rollback { to, note })
    }

    fn end(&self, action: Action, note: String) -> anyhow::Result<Manifest> {
        self.change(&ChangeRequest::End { action, note })
    }
}
