//! `leadgate site`: customers' sites.

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::output::Output;
use crate::domain::admin::{Admin, OwnedSite};
use crate::model::SiteId;
use crate::model::person::Email;
use crate::model::site::{Site, SiteDomain};

#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Add a site
    Add {
        /// For example www.site.com
        domain: SiteDomain,
        /// Its UUID; a new one is made if there is none
        #[arg(long)]
        uuid: Option<SiteId>,
        /// Who may connect partners to it; can be repeated
        #[arg(long = "owner", value_name = "EMAIL")]
        owners: Vec<Email>,
    },
    /// List all sites with their owners
    List,
    /// Make a person an owner of a site
    Grant {
        /// The site
        uuid: SiteId,
        /// The person
        email: Email,
    },
    /// Remove a site and its leads
    Remove {
        /// The site
        uuid: SiteId,
    },
}

impl SiteCommand {
    pub async fn run(self, admin: &Admin, output: &Output) -> Result<(), CliError> {
        match self {
            SiteCommand::Add { domain, uuid, owners } => {
                let site = admin.add_site(domain, uuid, &owners).await?;
                output.show(&identity(&site), format!("Added {} with UUID {}.", site.domain, site.id))
            }
            SiteCommand::List => list(&admin.sites().await?, output),
            SiteCommand::Grant { uuid, email } => {
                let site = admin.grant_site(uuid, &email).await?;
                output.show(&identity(&site), format!("{email} owns {} now.", site.domain))
            }
            SiteCommand::Remove { uuid } => {
                let site = admin.site(uuid).await?;
                admin.remove_site(uuid).await?;
                output.show(&identity(&site), format!("Removed {}.", site.domain))
            }
        }
    }
}

fn identity(site: &Site) -> Value {
    json!({ "uuid": site.id.to_string(), "domain": site.domain.as_str() })
}

fn list(sites: &[OwnedSite], output: &Output) -> Result<(), CliError> {
    let owners = |owned: &OwnedSite| owned.owners.iter().map(Email::to_string).collect::<Vec<_>>();
    let document = |owned: &OwnedSite| {
        let (uuid, domain) = (owned.site.id.to_string(), owned.site.domain.as_str());
        json!({ "uuid": uuid, "domain": domain, "owners": owners(owned), "created": owned.site.created.to_string() })
    };
    let row =
        |owned: &OwnedSite| vec![owned.site.id.to_string(), owned.site.domain.to_string(), owners(owned).join(", ")];
    let rows: Vec<_> = sites.iter().map(row).collect();
    output.list(sites.iter().map(document).collect(), &["UUID", "DOMAIN", "OWNERS"], &rows, "There are no sites yet.")
}
