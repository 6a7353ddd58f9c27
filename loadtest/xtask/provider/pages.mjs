// The pages a person meets. No script, so that they work in every browser and with curl.

const layout = (title, body) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1.5rem; color: #1c2733; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
input { margin: .3rem 0 1.2rem; padding: .6rem; border: 1px solid #8a97a5; border-radius: .4rem; }
button { padding: .7rem; border: 0; border-radius: .4rem; background: #14532d; color: #fff; cursor: pointer; }
</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`;

/** Asks who signs in. There is no password: everybody here is an invention. */
export const signInPage = (action) => layout('Sign in', `<form method="post" action="${action}">
<label for="login">Account</label>
<input id="login" name="login" value="ada" autocomplete="username" required maxlength="64" pattern="[a-z0-9._-]+">
<button id="sign-in" type="submit">Sign in</button>
</form>`);

/** Asks who is signed in already to confirm it. */
export const confirmPage = (action, account) => layout('Confirm', `<form method="post" action="${action}">
<p>Confirm that you are ${escape(account)}.</p>
<input name="login" type="hidden" value="${escape(account)}">
<button id="confirm" type="submit">Confirm</button>
</form>`);

/** Takes the code that a display shows; the form comes from the library, with its anti-forgery value. */
export const codePage = (form) => layout('Sign a display in', `${form}
<button id="continue" type="submit" form="op.deviceInputForm">Continue</button>`);

/** Lets a person compare the code. */
export const devicePage = (form, name, code) => layout('Is this its code?', `<p>${escape(name)} shows <strong>${escape(code)}</strong></p>
${form}
<button id="confirm" type="submit" form="op.deviceConfirmForm">Yes</button>
<button id="refuse" type="submit" form="op.deviceConfirmForm" name="abort" value="yes">No</button>`);

export const deviceDonePage = () => layout('Signed in', '<p>Look at the display.</p>');

/** Confirms a logout; the form comes from the library and holds its anti-forgery value. */
export const signOutPage = (form) => layout('Sign out', `${form}
<button id="sign-out" type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`);

/** Tells that the provider could not go on, with its own words for why. */
export const errorPage = (error) => layout('Not possible', `<p>${escape(error)}</p>`);

export const signedOutPage = () => layout('Signed out', '<p>You are signed out at the provider.</p>');

function escape(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
