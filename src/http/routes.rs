//! How paths become routes.

use axum::Router;
use axum::routing::MethodRouter;

use super::App;

/// A route at `path`, which ends with a slash, and the same one without the slash: API.md wants the same answer from
/// both, without a redirect.
pub fn both(path: &str, method_router: MethodRouter<App>) -> Router<App> {
    let bare = path.strip_suffix('/').expect("documented paths end with a slash");
    Router::new().route(path, method_router.clone()).route(bare, method_router)
}
