//! `leadgate user`: people who log in.

use clap::Subcommand;
use serde_json::{Value, json};

use super::arguments::display_name;
use super::error::CliError;
use super::output::{Output, remark};
use super::secret_input;
use crate::domain::admin::{Admin, Invitation};
use crate::domain::new_password::NewPassword;
use crate::domain::passwords::hash_password;
use crate::model::SiteId;
use crate::model::person::{Email, PasswordHash, User};
use crate::model::session::LiveSession;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person; the password is asked for
    Add {
        /// What the person logs in with
        email: Email,
        /// How pages address the person
        #[arg(long, value_parser = display_name)]
        name: Option<String>,
        /// Also show the person the console
        #[arg(long)]
        operator: bool,
        /// Read the password from stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make a one-time link with which a person sets a password; add the person first, if new
    Invite {
        /// Whom
        email: Email,
        /// How pages address the person, if new
        #[arg(long, value_parser = display_name)]
        name: Option<String>,
        /// A site that the person is to own; can be repeated
        #[arg(long = "site", value_name = "U")]
        sites: Vec<SiteId>,
    },
    /// Set a person's password; it is asked for, and all browsers are logged out
    Passwd {
        /// Who
        email: Email,
        /// Also disconnect all applications that the person connected: their leads stop at once
        #[arg(long)]
        disconnect: bool,
        /// Read the password from stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// List everybody
    List,
    /// List the browsers in which a person is signed in
    Sessions {
        /// Who
        email: Email,
    },
    /// Sign a person out of all browsers
    Logout {
        /// Who
        email: Email,
    },
    /// Remove a person, and what it allowed partners to do
    Remove {
        /// Who
        email: Email,
    },
}

impl UserCommand {
    pub async fn run(self, admin: &Admin, output: &Output) -> Result<(), CliError> {
        match self {
            UserCommand::Add { email, name, operator, password_stdin } => {
                let password = new_password(password_stdin, &email, admin)?;
                let user = admin.add_user(email, name.unwrap_or_default(), operator, password).await?;
                output.show(&identity(&user), format!("Added {}.", user.email))
            }
            UserCommand::Invite { email, name, sites } => {
                show_invitation(&admin.invite(email, name.unwrap_or_default(), &sites).await?, output)
            }
            UserCommand::Passwd { email, disconnect, password_stdin } => {
                let user = admin.user(&email).await?;
                let password = new_password(password_stdin, &email, admin)?;
                admin.set_password(&user, password, disconnect).await?;
                let also = if disconnect { " All applications that it connected are disconnected." } else { "" };
                let text = format!("Set the password of {email} and logged it out everywhere.{also}");
                output.show(&identity(&user), text)
            }
            UserCommand::List => list(&admin.users().await?, output),
            UserCommand::Sessions { email } => list_sessions(&admin.sessions(&email).await?, &email, output),
            UserCommand::Logout { email } => {
                let ended = admin.log_out(&email).await?;
                let text =
                    format!("Signed {email} out of {ended} {}.", if ended == 1 { "browser" } else { "browsers" });
                output.show(&json!({ "email": email.as_str(), "ended": ended }), text)
            }
            UserCommand::Remove { email } => {
                let user = admin.user(&email).await?;
                admin.remove_user(&email).await?;
                output.show(&identity(&user), format!("Removed {email}."))
            }
        }
    }
}

fn new_password(from_stdin: bool, email: &Email, admin: &Admin) -> Result<PasswordHash, CliError> {
    let password = NewPassword::parse(&secret_input::new_password(from_stdin)?, email)?;
    Ok(hash_password(&password, &*admin.entropy))
}

fn identity(user: &User) -> Value {
    json!({ "id": user.id.to_string(), "email": user.email.as_str() })
}

/// The link is shown also when it was mailed, or could not be: the operator can always bring it.
fn show_invitation(invitation: &Invitation, output: &Output) -> Result<(), CliError> {
    let Invitation { user, link, mailed } = invitation;
    let sent = match mailed {
        None => String::new(),
        Some(Ok(())) => format!(" It was also sent to {} by mail.", user.email),
        Some(Err(error)) => {
            remark(format_args!("The link was not sent by mail: {error}"));
            String::new()
        }
    };
    let document = json!({ "id": user.id.to_string(), "email": user.email.as_str(), "link": link });
    output.show(
        &document,
        format!("{link}\n\nWith this link {} sets a password: once, within 24 hours.{sent}", user.email),
    )
}

fn list(users: &[User], output: &Output) -> Result<(), CliError> {
    let document = |user: &User| {
        let (id, email) = (user.id.to_string(), user.email.as_str());
        json!({ "id": id, "email": email, "name": user.name, "operator": user.operator, "created": user.created.to_string() })
    };
    let row = |user: &User| {
        let role = if user.operator { "operator" } else { "" };
        vec![user.email.to_string(), user.name.clone(), role.to_owned()]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    output.list(users.iter().map(document).collect(), &["EMAIL", "NAME", "ROLE"], &rows, "There are no users yet.")
}

fn list_sessions(sessions: &[LiveSession], email: &Email, output: &Output) -> Result<(), CliError> {
    let document = |session: &LiveSession| {
        let [created, used, expires] = [session.created, session.used, session.expires].map(|time| time.to_string());
        let (id, agent) = (session.id.to_string(), session.agent.as_str());
        json!({ "id": id, "created": created, "used": used, "expires": expires, "user_agent": agent })
    };
    let row =
        |session: &LiveSession| vec![session.used.to_string(), session.created.to_string(), session.agent.in_words()];
    let rows: Vec<_> = sessions.iter().map(row).collect();
    let none = format!("{email} is signed in nowhere.");
    output.list(sessions.iter().map(document).collect(), &["LAST USED", "SIGNED IN", "BROWSER"], &rows, &none)
}
