//! The forms that come back: login, sign-out, choice of site, decision. Each is a POST that is proven to come from a page
//! of ours, in the same browser and for the same user.

use axum::extract::{Request, State};
use axum::response::Response;

use super::error::PageError;
use super::views::Steps;
use super::visit::{CHOSEN_SITE, Submission, see_page, see_partner, sign_in, sign_out};
use crate::domain::forms::Form;
use crate::domain::login::LogIn;
use crate::domain::oauth::consent::Approval;
use crate::http::App;
use crate::http::middleware::ClientAddress;
use crate::http::routes::PartnerSlug;
use crate::model::SiteId;

/// Starts a session and goes on with the request; or shows the login page again, with the request kept.
pub(super) async fn log_in(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, slug, request).await?;
    sent.require(&app, Form::Login)?;
    let field = |name| sent.fields.get(name).unwrap_or_default();
    let (email, password) = (field("email"), field("password"));
    let done = app.gateway.log_in(email, password, sent.visitor.at(address)).await;
    match done.map_err(|error| PageError::after_proof(&sent.asking, error))? {
        LogIn::Done(welcome) => Ok(sign_in(&app, see_page(&sent.start_again()), &welcome)),
        LogIn::Busy => Err(PageError::Busy(sent.start_again())),
        LogIn::Throttled(throttled) => Err(PageError::Throttled(sent.start_again(), throttled)),
        LogIn::Wrong => Ok(Steps { app: &app, asking: &sent.asking, visitor: &sent.visitor }.login(Some(email))),
    }
}

/// Ends the session and shows the login page, with the request kept.
pub(super) async fn log_out(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, slug, request).await?;
    sent.require(&app, Form::SignOut)?;
    if let Some(cookie) = &sent.visitor.cookie {
        app.gateway.log_out(cookie).await.map_err(|error| PageError::after_proof(&sent.asking, error))?;
    }
    Ok(sign_out(&app, see_page(&sent.start_again())))
}

/// Goes back to the partner without an approval, whether or not somebody is logged in.
pub(super) async fn cancel(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, slug, request).await?;
    sent.require(&app, Form::Cancel)?;
    Ok(see_partner(&app.gateway.deny(&sent.asking)))
}

/// Goes on to the consent for the chosen site: by a redirect, so that the back button finds a page and not a form.
pub(super) async fn choose_site(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, slug, request).await?;
    sent.require(&app, Form::Site)?;
    let site = chosen_site(&sent)?;
    let owned = app.gateway.owns(sent.user()?, site).await;
    match owned.map_err(|error| PageError::after_proof(&sent.asking, error))? {
        true => Ok(see_page(&format!("{}&{CHOSEN_SITE}={site}", sent.start_again()))),
        false => Err(PageError::ForeignSite(sent.start_again())),
    }
}

/// Carries out what the user decided.
pub(super) async fn decide(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, slug, request).await?;
    let site = chosen_site(&sent)?;
    sent.require(&app, Form::Decision(site))?;
    match sent.fields.get("decision") {
        Some("approve") => approve(&app, &sent, site).await,
        Some("deny") => Ok(see_partner(&app.gateway.deny(&sent.asking))),
        _ => Err(PageError::Malformed),
    }
}

async fn approve(app: &App, sent: &Submission, site: SiteId) -> Result<Response, PageError> {
    let approval = app.gateway.approve(&sent.asking, sent.user()?, site).await;
    match approval.map_err(|error| PageError::after_proof(&sent.asking, error))? {
        Approval::Given(answer) => Ok(see_partner(&answer)),
        Approval::Repeated => Err(PageError::Repeated(sent.start_again())),
        Approval::NotOwner => Err(PageError::ForeignSite(sent.start_again())),
    }
}

fn chosen_site(sent: &Submission) -> Result<SiteId, PageError> {
    let site = sent.fields.get("site").and_then(|site| site.parse().ok());
    site.ok_or_else(|| PageError::ForeignSite(sent.start_again()))
}
