/**
 * The operator's token. It opens what a signed-in user may not see, and is kept
 * in memory only: it is gone with the page.
 */
class OperatorToken {
  value = $state('');
}

export const operator = new OperatorToken();
