//! `request`: one sealed request.

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use serde_json::{Map, Value};
use tacit_api::{RequestAuth, RequestBody, SendRequest, SentResponse};

use crate::{
    error::{Failure, Outcome},
    input,
    output::{Output, bytes, data, talk},
    runs::redactions,
    session::Session,
};

/// Send one request with the secrets it names. Prints the answer's body, in which no secret is left.
#[derive(Args)]
#[command(
    after_help = "Example:\n  tacit request GET https://api.stripe.com/v1/charges --auth STRIPE_KEY\n  tacit request POST https://api.example.com/items -H 'X-Key: {{secrets.API_KEY}}' --json '{\"name\": \"a\"}'"
)]
pub(crate) struct Request {
    /// The method, such as GET.
    method: String,
    /// The URL.
    url: String,
    /// The secret that authenticates the request; its type decides how.
    #[arg(long, value_name = "NAME")]
    auth: Option<String>,
    /// A header; the value may name secrets: 'X-Key: {{secrets.NAME}}'.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A query parameter.
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    #[command(flatten)]
    body: Body,
    /// Keep only this of a JSON answer; a JSON pointer such as /id.
    #[arg(long, value_name = "POINTER")]
    keep: Vec<String>,
    /// How many redirects to follow, each judged anew.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    redirects: u32,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "SECS")]
    timeout: Option<u64>,
}

/// What is sent.
#[derive(Args)]
#[group(multiple = false)]
struct Body {
    /// A JSON body; @FILE reads it from a file, @- from standard input.
    #[arg(long, value_name = "JSON")]
    json: Option<String>,
    /// A field of a form.
    #[arg(long, value_name = "NAME=VALUE")]
    form: Vec<String>,
    /// A text body; @FILE reads it from a file, @- from standard input.
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
}

impl Request {
    pub(crate) async fn run(self, session: &Session) -> Outcome {
        let request = SendRequest {
            auth: self.auth.map(|secret| RequestAuth { secret }),
            headers: input::headers(&self.headers)?,
            query: input::pairs(&self.query, "--query")?,
            body: self.body.read()?,
            fields: (!self.keep.is_empty()).then_some(self.keep),
            redirects: self.redirects,
            timeout_secs: self.timeout,
            ..SendRequest::new(
                session.acting_environment().await?,
                self.method.to_ascii_uppercase(),
                self.url,
            )
        };
        let answer = session.workspace().send(&request).await?;
        if session.out == Output::Json {
            return session.out.json(&answer);
        }
        talk(&format!("HTTP {}, {}", answer.status, redactions(answer.redactions)));
        match answer.withheld.as_deref() {
            Some("block") => {
                talk("the rest is withheld: it held a secret, and a destination there says `response: block`")
            }
            Some(_) => talk(
                "the rest is withheld: a destination there says `response: status_only`, or a secret that may be in it is too short to be recognised",
            ),
            None => {}
        }
        print_body(&answer)
    }
}

impl Body {
    fn read(&self) -> Outcome<Option<RequestBody>> {
        if let Some(text) = &self.json {
            return Ok(Some(RequestBody::Json(input::json(&input::text_or_file(text)?, "--json")?)));
        }
        if let Some(text) = &self.data {
            return Ok(Some(RequestBody::Text(input::text_or_file(text)?)));
        }
        let form: Map<String, Value> = input::pairs(&self.form, "--form")?;
        Ok((!form.is_empty()).then_some(RequestBody::Form(form)))
    }
}

fn print_body(answer: &SentResponse) -> Outcome {
    match (&answer.body, answer.body_encoding.as_deref()) {
        (Value::String(text), Some("base64")) => {
            let decoded = STANDARD.decode(text);
            bytes(&decoded.map_err(|_| {
                Failure::new("the body is not what its encoding says", "--output json shows it as it came")
            })?)
        }
        (Value::Null, _) => Ok(()),
        (Value::String(text), _) if text.is_empty() => Ok(()),
        (Value::String(text), _) => data(text),
        (body, _) => Output::Json.json(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of body is sent as what it is.
    #[test]
    fn bodies() {
        let body = |json: Option<&str>, form: &[&str], data: Option<&str>| {
            let form = form.iter().map(|pair| (*pair).to_owned()).collect();
            let read = Body { json: json.map(str::to_owned), form, data: data.map(str::to_owned) }.read();
            read.map(|body| serde_json::to_string(&body).unwrap())
        };
        assert_eq!(body(None, &[], None).unwrap(), "null");
        assert_eq!(body(Some("{\"a\":1}"), &[], None).unwrap(), r#"{"json":{"a":1}}"#);
        assert_eq!(body(None, &["a=b", "c=d=e"], None).unwrap(), r#"{"form":{"a":"b","c":"d=e"}}"#);
        assert_eq!(body(None, &[], Some("")).unwrap(), r#"{"text":""}"#);
        assert_eq!(body(Some("{hunter2"), &[], None).unwrap_err().exit as u8, 2);
    }
}
