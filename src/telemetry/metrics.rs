//! Counters for Prometheus, in the OpenMetrics text format, on an address of their own.
//!
//! The rooms below know nothing of them: whoever wires the router has requests and leads counted by their answers, which say
//! everything, and whoever wires the driver has deliveries counted.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The page's format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    leads: Family<LeadLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    oldest_due: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Route,
    status: u16,
}

/// A route's pattern. It is shared with the router: a request that is counted copies no text.
#[derive(Debug, Clone)]
struct Route(Option<MatchedPath>);

impl Route {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("unmatched", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeadLabels {
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    outcome: &'static str,
}

impl Metrics {
    /// All counters at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("leadgate");
        let (requests, leads, deliveries) = (Family::default(), Family::default(), Family::default());
        let oldest_due = Gauge::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", build);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("leads_accepted", "Requests that sent a lead in, by what they did to it", leads.clone());
        registry.register("delivery_attempts", "Attempts to deliver a change, by outcome", deliveries.clone());
        let help = "How long a delivery that could be sent has been waiting for its turn";
        registry.register_with_unit("oldest_due", help, Unit::Seconds, oldest_due.clone());
        Arc::new(Self { registry, requests, leads, deliveries, oldest_due })
    }

    /// Sets how long a delivery that could be sent has been waiting; in whole seconds.
    pub fn oldest_due(&self, waits: Duration) {
        self.oldest_due.set(i64::try_from(waits.as_secs()).unwrap_or(i64::MAX));
    }

    /// Takes note that there were so many attempts to deliver since the start; `outcome` is a fixed word such as `delivered` or
    /// `retried`.
    pub fn attempts_so_far(&self, outcome: &'static str, attempts: u64) {
        self.deliveries.get_or_create(&DeliveryLabels { outcome }).inner().fetch_max(attempts, Ordering::Relaxed);
    }

    /// The page that Prometheus reads.
    pub fn render(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &self.registry).expect("writing to a string cannot fail");
        page
    }

    /// Counts a request that was answered, and the lead that it sent in. Labels take only values from fixed sets, so that
    /// callers cannot make the page grow.
    pub fn count_request(&self, method: &Method, route: Option<MatchedPath>, answer: &Response) {
        let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
        let route = Route(route);
        self.requests.get_or_create(&RequestLabels { method, route, status: answer.status().as_u16() }).inc();
        let result = answer.headers().get("x-leadgate-result").and_then(|value| value.to_str().ok());
        if let (Some(result), true) = (result, answer.status().is_success()) {
            self.leads.get_or_create(&LeadLabels { result: result.to_owned() }).inc();
        }
    }
}

/// The methods that are told apart.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The metrics page, for an address of its own. Whenever it is read, `refresh` first carries over what is counted elsewhere.
pub fn page(metrics: Arc<Metrics>, refresh: impl Fn(&Metrics) + Send + Sync + 'static) -> Router {
    let refresh = Arc::new(refresh);
    let page = move || {
        refresh(&metrics);
        std::future::ready(([(CONTENT_TYPE, OPEN_METRICS)], metrics.render()))
    };
    Router::new().route("/metrics", get(page))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::{Request, State};
    use axum::middleware::{Next, from_fn_with_state};
    use tower::ServiceExt;

    use super::*;

    async fn counted(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
        let (method, route) = (request.method().clone(), request.extensions().get().cloned());
        let answer = next.run(request).await;
        metrics.count_request(&method, route, &answer);
        answer
    }

    #[tokio::test]
    async fn requests_and_leads_are_counted_by_route_and_result() {
        let metrics = Metrics::new();
        let answer = || async { ([("x-leadgate-result", "created")], "{}") };
        let router = Router::new().route("/rest/{site}", get(answer));
        let router = router.layer(from_fn_with_state(metrics.clone(), counted));
        for path in ["/rest/a", "/rest/b", "/nowhere"] {
            router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        }
        metrics.attempts_so_far("delivered", 1);
        metrics.oldest_due(Duration::from_millis(75_900));
        let page = metrics.render();
        for line in [
            r#"leadgate_http_requests_total{method="GET",route="/rest/{site}",status="200"} 2"#,
            r#"leadgate_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
            r#"leadgate_leads_accepted_total{result="created"} 2"#,
            r#"leadgate_delivery_attempts_total{outcome="delivered"} 1"#,
            "leadgate_oldest_due_seconds 75",
            concat!(r#"leadgate_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
