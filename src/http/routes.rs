//! How paths become routes, and their first segment a partner's slug.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::routing::MethodRouter;

use super::App;
use crate::model::partner::Slug;

/// A route at `path`, which ends with a slash, and the same one without the slash: API.md wants the same answer from
/// both, without a redirect.
pub fn both(path: &str, method_router: MethodRouter<App>) -> Router<App> {
    let bare = path.strip_suffix('/').expect("documented paths end with a slash");
    Router::new().route(path, method_router.clone()).route(bare, method_router)
}

/// The `{partner}` of a path that has no other parameter; `None` if no partner can have such a slug.
#[derive(Debug, Clone)]
pub struct PartnerSlug(pub Option<Slug>);

impl<S: Send + Sync> FromRequestParts<S> for PartnerSlug {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(segment.ok().and_then(|Path(segment)| segment.parse().ok())))
    }
}
