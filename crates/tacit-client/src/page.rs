//! Walking through a list's pages.

use tacit_api::Page;

use crate::Error;

/// All items of a list: asks for page after page until there is none.
///
/// ```no_run
/// # async fn example(client: tacit_client::Client) -> Result<(), tacit_client::Error> {
/// use tacit_client::{api::SecretQuery, every_page};
///
/// let workspace = client.workspace("default");
/// let all = every_page(async |cursor| workspace.secrets(&SecretQuery { cursor, ..Default::default() }).await).await?;
/// # drop(all); Ok(())
/// # }
/// ```
///
/// # Errors
/// Whatever a page's request brings.
pub async fn every_page<T>(
    mut page: impl AsyncFnMut(Option<String>) -> Result<Page<T>, Error>,
) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let next = page(cursor).await?;
        items.extend(next.items);
        match next.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(items),
        }
    }
}
