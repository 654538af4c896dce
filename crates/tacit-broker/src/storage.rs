//! Object storage: one thing done with one object of a bucket, by requests that are signed and take the way of any other.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};
use tacit_model::{Code, EnvironmentName, Problem, RequestPath, Target, limits};
use tacit_redact::ScanSet;
use tacit_template::{Scope, Template};
use tacit_vault::{Caller, StorageActionTemplate, StorageTemplate, UseRequest, Using};

use crate::{
    Broker, Kept,
    answer::content,
    faults::wire_problem,
    names::scrub_names,
    render::{Draft, DraftBody, Fragment, percent_encode, plain},
    send::{Answered, slots},
    sftp::content_of,
    wire::{ResponseRule, Scrubbed, WireError},
};

/// Objects of one bucket that are named in one answer, and answers that are asked for.
const PAGE_ENTRIES: usize = 1000;
const PAGES_MAX: usize = 10;
/// Elements of one list: a handful for each object.
const NODES_MAX: u32 = 100_000;

/// Something to be done with an object.
pub struct StorageRequest<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// On whose authority.
    pub using: Using<'a>,
    /// In which environment.
    pub environment: &'a EnvironmentName,
    /// The step, compiled.
    pub template: &'a StorageTemplate,
    /// Seconds for all of it.
    pub timeout_secs: u64,
    /// The data for its templates.
    pub scope: &'a (dyn Scope + Sync),
}

/// Where a bucket is.
struct Bucket {
    target: Target,
    /// `/bucket`, behind the endpoint's own path if it has one.
    path: String,
    region: Option<String>,
}

/// What is to be done.
enum Action {
    Put { key: String, content: Vec<u8>, content_type: Option<String> },
    Get { key: String },
    List { prefix: String },
    Delete { key: String },
}

/// What is in a bucket.
struct Entry {
    key: String,
    size: Option<u64>,
    modified: Option<jiff::Timestamp>,
}

/// A page of a list.
struct Page {
    entries: Vec<Entry>,
    /// What the next page is asked for with.
    next: Option<String>,
}

impl Broker {
    /// Does one thing with an object, and gives back what may be seen of it.
    ///
    /// # Errors
    /// Refusals in the contract's order, what the wire meets, `unexpected_status` for what the service refuses. Every
    /// refusal and every outcome is on the record.
    pub async fn storage(&self, request: StorageRequest<'_>) -> Result<Kept, Problem> {
        let (bucket, action) = render(request.template, request.scope)?;
        let deadline = Instant::now() + Duration::from_secs(request.timeout_secs);
        match action {
            Action::Put { key, content, content_type } => {
                let bytes = content.len() as u64;
                let draft = bucket.draft("PUT", &key, "", Some((content, content_type)))?;
                let answered = self.ask_storage(&request, &draft, deadline).await?;
                Ok(kept(answered, |_| Map::from_iter([("bytes".to_owned(), bytes.into())])))
            }
            Action::Delete { key } => {
                let answered =
                    self.ask_storage(&request, &bucket.draft("DELETE", &key, "", None)?, deadline).await?;
                Ok(kept(answered, |_| Map::from_iter([("bytes".to_owned(), 0.into())])))
            }
            Action::Get { key } => {
                let answered =
                    self.ask_storage(&request, &bucket.draft("GET", &key, "", None)?, deadline).await?;
                Ok(kept(answered, object))
            }
            Action::List { prefix } => self.list(&request, &bucket, &prefix, deadline).await,
        }
    }

    /// Sends one request. What is not a success is a problem in our words.
    async fn ask_storage(
        &self,
        request: &StorageRequest<'_>,
        draft: &Draft,
        deadline: Instant,
    ) -> Result<Answered, Problem> {
        let slots = slots(&request.template.slots);
        let use_request = UseRequest {
            caller: request.caller,
            using: request.using,
            environment: request.environment,
            target: &draft.target,
            method: &draft.method,
            path: draft.path.path(),
            other_path: None,
            slots: &slots,
            foreign_credential: false,
        };
        let answered = self.send_once(&use_request, &request.template.slots, draft, deadline).await?;
        if (200..300).contains(&answered.scrubbed.status) {
            Ok(answered)
        } else {
            Err(refused(answered.scrubbed.status, &draft.target))
        }
    }

    async fn list(
        &self,
        request: &StorageRequest<'_>,
        bucket: &Bucket,
        prefix: &str,
        deadline: Instant,
    ) -> Result<Kept, Problem> {
        let mut output = Map::new();
        let (mut entries, mut redactions, mut next) = (Vec::new(), 0, None);
        for _ in 0..PAGES_MAX {
            let mut query =
                format!("list-type=2&max-keys={PAGE_ENTRIES}&prefix={}", percent_encode(prefix.as_bytes()));
            if let Some(token) = &next {
                query.push_str(&format!("&continuation-token={}", percent_encode(String::as_bytes(token))));
            }
            let answered =
                self.ask_storage(request, &bucket.draft("GET", "", &query, None)?, deadline).await?;
            redactions += answered.scrubbed.findings.total();
            if let Some(withheld) = withheld(&answered.scrubbed, answered.rule) {
                output.insert("withheld".to_owned(), withheld.into());
                return Ok(Kept { output: Value::Object(output), redactions });
            }
            let unscannable = || wire_problem(&WireError::Unscannable, &bucket.target);
            let mut page = page(&answered.scrubbed.body).ok_or_else(unscannable)?;
            // Reading puts together what stood apart in the text, so what was read is searched once more.
            for scan in &answered.scans {
                let found = scrub_names(scan, page.entries.iter_mut().map(|entry| &mut entry.key));
                redactions += found.map_err(|_| unscannable())?.total();
            }
            entries.extend(page.entries.drain(..).map(shown));
            next = page.next.take().filter(|token| is_new(token, &answered.scans));
            if next.is_none() {
                break;
            }
        }
        output.insert("entries".to_owned(), Value::Array(entries));
        if next.is_some() {
            output.insert("truncated".to_owned(), true.into());
        }
        Ok(Kept { output: Value::Object(output), redactions })
    }
}

/// Whether a token to go on with holds nothing that is looked for: it would be sent back in a query.
fn is_new(token: &str, scans: &[ScanSet]) -> bool {
    scans.iter().all(|scan| tacit_redact::scrub_text(scan, token).1.total() == 0)
}

fn render(template: &StorageTemplate, scope: &dyn Scope) -> Result<(Bucket, Action), Problem> {
    let text = |template: &Template, field: &str| plain(template, field, scope);
    let endpoint = text(&template.endpoint, "storage.endpoint")?;
    let (target, base) = Target::parse_url(&endpoint)
        .map_err(|error| Problem::invalid("storage.endpoint", error.to_string()))?;
    if base.query().is_some() {
        return Err(Problem::invalid("storage.endpoint", "must have no query"));
    }
    let name = text(&template.bucket, "storage.bucket")?;
    let is_name = |name: &str| {
        (1..=255).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !name.bytes().all(|b| b == b'.')
    };
    if !is_name(&name) {
        return Err(Problem::invalid(
            "storage.bucket",
            "must be a bucket's name: letters, digits, `.`, `-` and `_`",
        ));
    }
    let region = template.region.as_ref().map(|region| text(region, "storage.region")).transpose()?;
    let is_region = |region: &String| {
        region.len() <= 64 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if region.as_ref().is_some_and(|region| !is_region(region)) {
        return Err(Problem::invalid("storage.region", "must be a region's name, such as eu-central-1"));
    }
    let bucket = Bucket { target, path: format!("{}/{name}", base.path().trim_end_matches('/')), region };
    let action = match &template.action {
        StorageActionTemplate::Put { key, content, is_base64, content_type } => Action::Put {
            key: text(key, "storage.put.key")?,
            content: content_of(content, *is_base64, "storage.put.content", scope)?,
            content_type: content_type
                .as_ref()
                .map(|kind| text(kind, "storage.put.content_type"))
                .transpose()?,
        },
        StorageActionTemplate::Get(key) => Action::Get { key: text(key, "storage.get.key")? },
        StorageActionTemplate::Delete(key) => Action::Delete { key: text(key, "storage.delete.key")? },
        StorageActionTemplate::List(prefix) => Action::List {
            prefix: prefix
                .as_ref()
                .map(|prefix| text(prefix, "storage.list.prefix"))
                .transpose()?
                .unwrap_or_default(),
        },
    };
    Ok((bucket, action))
}

impl Bucket {
    /// A request for an object, or for the bucket itself if there is no key.
    fn draft(
        &self,
        method: &str,
        key: &str,
        query: &str,
        content: Option<(Vec<u8>, Option<String>)>,
    ) -> Result<Draft, Problem> {
        let mut path = self.path.clone();
        if query.is_empty() {
            if key.is_empty() || key.len() > limits::REMOTE_PATH_BYTES_MAX {
                let message = format!("must be 1 to {} bytes", limits::REMOTE_PATH_BYTES_MAX);
                return Err(Problem::invalid("storage.key", message));
            }
            for segment in key.split('/') {
                path.push('/');
                path.push_str(&percent_encode(segment.as_bytes()));
            }
        } else {
            path.push('?');
            path.push_str(query);
        }
        let judged =
            RequestPath::parse(&path).map_err(|error| Problem::invalid("storage.key", error.to_string()))?;
        let mut headers = HeaderMap::new();
        let body = match content {
            None => None,
            Some((bytes, content_type)) => {
                let kind = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
                let kind = HeaderValue::from_str(&kind)
                    .map_err(|_| Problem::invalid("storage.put.content_type", "must be a content type"))?;
                headers.insert(header::CONTENT_TYPE, kind);
                Some(DraftBody::Bytes(bytes))
            }
        };
        Ok(Draft {
            method: method.to_owned(),
            target: self.target.clone(),
            path: judged,
            path_and_query: vec![Fragment::Text(path)],
            headers: Vec::new(),
            plain_headers: headers,
            basic: None,
            region: self.region.clone(),
            body,
        })
    }
}

/// Why nothing but a number is shown, if that is so.
fn withheld(scrubbed: &Scrubbed, rule: ResponseRule) -> Option<&'static str> {
    match rule {
        ResponseRule::StatusOnly => Some("status_only"),
        ResponseRule::Block if scrubbed.withheld => Some("block"),
        ResponseRule::Block | ResponseRule::Scrub => None,
    }
}

fn kept(answered: Answered, output: impl FnOnce(Scrubbed) -> Map<String, Value>) -> Kept {
    let Answered { scrubbed, rule, .. } = answered;
    let redactions = scrubbed.findings.total();
    let withheld = withheld(&scrubbed, rule);
    let etag = scrubbed.headers.iter().find(|(name, _)| name == "etag").map(|(_, value)| value.clone());
    let mut output = output(scrubbed);
    if let Some(etag) = etag {
        output.insert("etag".to_owned(), etag.into());
    }
    if let Some(withheld) = withheld {
        output.remove("content");
        output.insert("withheld".to_owned(), withheld.into());
    }
    Kept { output: Value::Object(output), redactions }
}

/// What is kept of an object.
fn object(scrubbed: Scrubbed) -> Map<String, Value> {
    let mut output = Map::from_iter([("bytes".to_owned(), scrubbed.body_bytes_received.into())]);
    if let Some((_, kind)) = scrubbed.headers.iter().find(|(name, _)| name == "content-type") {
        output.insert("content_type".to_owned(), kind.clone().into());
    }
    let (content, encoding) = content(scrubbed.body);
    output.insert("content".to_owned(), content);
    if let Some(encoding) = encoding {
        output.insert("content_encoding".to_owned(), encoding.into());
    }
    if scrubbed.is_opaque {
        output.insert("opaque".to_owned(), true.into());
    }
    output
}

/// What a refusal of the service's is told as.
fn refused(status: u16, target: &Target) -> Problem {
    let (what, hint) = match status {
        301 | 307 | 308 => {
            ("says that the bucket is elsewhere", "name the bucket's own endpoint and `region`")
        }
        400 => ("does not take the request", "check `region`, and the names of bucket and object"),
        401 | 403 => (
            "does not let the secret's access key do this",
            "check key, `region`, what the key may do, and the clocks of both sides",
        ),
        404 => ("has no such bucket or object", "check `bucket` and `key`"),
        _ => ("could not do this", "try again later"),
    };
    Problem::new(Code::UnexpectedStatus, format!("{target} {what} (status {status})")).suggest(hint)
}

fn shown(entry: Entry) -> Value {
    let mut shown = Map::new();
    shown.insert("key".to_owned(), entry.key.into());
    shown.insert("size".to_owned(), entry.size.into());
    shown.insert("modified".to_owned(), entry.modified.map(|time| time.to_string()).into());
    Value::Object(shown)
}

/// Reads a page of a list. What is not one is `None`.
fn page(body: &[u8]) -> Option<Page> {
    let text = std::str::from_utf8(body).ok()?;
    let options = roxmltree::ParsingOptions { nodes_limit: NODES_MAX, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        return None;
    }
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        let found = node.children().find(|child| child.tag_name().name() == name)?;
        Some(
            found
                .descendants()
                .filter_map(|part| part.is_text().then(|| part.text()).flatten())
                .collect::<String>(),
        )
    };
    let mut entries = Vec::new();
    for node in root.children().filter(|node| node.tag_name().name() == "Contents") {
        entries.push(Entry {
            key: child(node, "Key")?,
            // A number and a moment are read and written anew, so that neither can be a text.
            size: child(node, "Size").and_then(|size| size.trim().parse().ok()),
            modified: child(node, "LastModified").and_then(|time| time.trim().parse().ok()),
        });
    }
    let is_cut = child(root, "IsTruncated").is_some_and(|cut| cut.trim() == "true");
    let next = child(root, "NextContinuationToken").filter(|token| is_cut && !token.is_empty());
    (entries.len() <= PAGE_ENTRIES).then_some(Page { entries, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever a service sends is a list or none.
        #[test]
        fn any_text(parts in proptest::collection::vec("<[/!?A-Z]{0,3}|Key>|</Key>|Contents>|&#[0-9x;]{1,4}|[ -~]{0,8}", 0..40)) {
            let text = format!("<ListBucketResult>{}</ListBucketResult>", parts.concat());
            let _ = page(text.as_bytes());
        }
    }

    /// A list is read as what it means, whatever its spelling; anything else is none.
    #[test]
    fn lists() {
        let read = page(
            b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
              <Contents><Key>a &amp; <![CDATA[b]]>&#99;</Key><Size>12</Size><LastModified>2024-01-02T03:04:05.000Z</LastModified></Contents>\
              <IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
        )
        .unwrap();
        let entry = &read.entries[0];
        assert_eq!((entry.key.as_str(), entry.size, read.next.as_deref()), ("a & bc", Some(12), Some("t")));
        assert_eq!(entry.modified.map(|time| time.to_string()).as_deref(), Some("2024-01-02T03:04:05Z"));
        for bad in [
            "",
            "{}",
            "<ListBucketResult>",
            "<html></html>",
            "<ListBucketResult><Contents/></ListBucketResult>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult>&a;</ListBucketResult>",
        ] {
            assert!(page(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
