/** Where the page begins: with the chat for who is signed in, with the welcome for who is not. */

import { keptAccount, keepAccount } from "./account.js";
import { startChat } from "./app.js";
import { showWelcome } from "./views/welcome.js";

const account = keptAccount();
if (account) {
  startChat(account);
} else {
  showWelcome((username, token) => {
    keepAccount(username, token);
    startChat({ username, token });
  });
}
