//! `leadgate partner`: integration partners. A client secret is printed once, when it is made.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::arguments::display_name;
use super::error::CliError;
use super::output::Output;
use crate::domain::admin::{Admin, PartnerCredentials, Wishes};
use crate::model::partner::{Partner, PartnerChange, RedirectUri, Slug};

#[derive(Debug, Subcommand)]
pub enum PartnerCommand {
    /// Add a partner; its client secret is shown once
    Add {
        /// The first segment of its paths: a-z, 0-9 and dashes
        slug: Slug,
        /// How pages call it
        #[arg(long, value_parser = display_name)]
        name: String,
        /// Where its users may be sent back to, exactly; can be repeated
        #[arg(long = "redirect-uri", value_name = "URI", required = true)]
        redirect_uris: Vec<RedirectUri>,
        /// Do not send the partner the changes that it made itself
        #[arg(long)]
        no_echo: bool,
        /// Merge later updates of a lead into one that still waits for the partner
        #[arg(long)]
        merge_updates: bool,
        /// Refuse its authorization requests that carry no PKCE challenge
        #[arg(long)]
        require_pkce: bool,
    },
    /// List all partners
    List,
    /// Change how a partner is dealt with
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Set {
        /// The partner
        slug: Slug,
        /// Whether later updates of a lead are merged into one that still waits for the partner
        #[arg(long, value_name = "SWITCH", group = "change")]
        merge_updates: Option<Switch>,
        /// Whether its authorization requests must carry a PKCE challenge
        #[arg(long, value_name = "SWITCH", group = "change")]
        require_pkce: Option<Switch>,
    },
    /// Make a new client secret, shown once; the old one is worthless at once
    RotateSecret {
        /// The partner
        slug: Slug,
    },
    /// Remove a partner, its tokens and its subscriptions
    Remove {
        /// The partner
        slug: Slug,
    },
}

/// A wish that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl PartnerCommand {
    pub async fn run(self, admin: &Admin, output: &Output) -> Result<(), CliError> {
        match self {
            PartnerCommand::Add { slug, name, redirect_uris, no_echo, merge_updates, require_pkce } => {
                let wishes = Wishes { echo: !no_echo, merge_updates, require_pkce };
                let made = admin.add_partner(slug, name, redirect_uris, wishes).await?;
                show_once(&made, "Added", output)
            }
            PartnerCommand::List => list(&admin.partners().await?, output),
            PartnerCommand::Set { slug, merge_updates, require_pkce } => {
                let is_on = |switch| switch == Switch::On;
                let change =
                    PartnerChange { merge_updates: merge_updates.map(is_on), require_pkce: require_pkce.map(is_on) };
                let partner = admin.change_partner(&slug, change).await?;
                output.show(&document(&partner), described(&partner))
            }
            PartnerCommand::RotateSecret { slug } => {
                show_once(&admin.rotate_partner_secret(&slug).await?, "Made a new secret for", output)
            }
            PartnerCommand::Remove { slug } => {
                admin.remove_partner(&slug).await?;
                output.show(&json!({ "slug": slug.as_str() }), format!("Removed {slug}."))
            }
        }
    }
}

fn show_once(made: &PartnerCredentials, done: &str, output: &Output) -> Result<(), CliError> {
    let (slug, id, secret) = (made.slug.as_str(), made.client_id.as_str(), made.client_secret.expose());
    let text = format!("{done} {slug}. The secret is shown only now.\nclient_id      {id}\nclient_secret  {secret}");
    output.show(&json!({ "slug": slug, "client_id": id, "client_secret": secret }), text)
}

/// How a partner is dealt with now.
fn described(partner: &Partner) -> String {
    let updates = if partner.merge_updates { "merged" } else { "sent one by one" };
    let pkce = if partner.require_pkce { "must use PKCE" } else { "may do without PKCE" };
    let slug = partner.slug.as_str();
    format!("Updates that wait for {slug} are {updates}, and its authorization requests {pkce}.")
}

fn document(partner: &Partner) -> Value {
    let uris: Vec<_> = partner.redirect_uris.iter().map(RedirectUri::as_str).collect();
    json!({
        "slug": partner.slug.as_str(),
        "name": partner.name,
        "client_id": partner.client_id.as_str(),
        "redirect_uris": uris,
        "echo": partner.echo,
        "merge_updates": partner.merge_updates,
        "require_pkce": partner.require_pkce,
        "created": partner.created.to_string(),
    })
}

fn list(partners: &[Partner], output: &Output) -> Result<(), CliError> {
    let row = |partner: &Partner| {
        let uris: Vec<_> = partner.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let yes_or_no = |wish| if wish { "yes" } else { "no" }.to_owned();
        let (echo, merges) = (yes_or_no(partner.echo), yes_or_no(partner.merge_updates));
        let pkce = if partner.require_pkce { "required" } else { "optional" }.to_owned();
        let id = partner.client_id.as_str().to_owned();
        vec![partner.slug.to_string(), partner.name.clone(), id, echo, merges, pkce, uris.join(" ")]
    };
    let rows: Vec<_> = partners.iter().map(row).collect();
    let heads = ["SLUG", "NAME", "CLIENT_ID", "ECHO", "MERGES", "PKCE", "REDIRECT URIS"];
    output.list(partners.iter().map(document).collect(), &heads, &rows, "There are no partners yet.")
}
