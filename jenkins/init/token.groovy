// The API token of the user `sacristy` is the secret of that name: made by `sacristy init`, not by hand.
import hudson.model.User
import jenkins.security.ApiTokenProperty

def secret = new File(System.getenv('SECRETS') ?: '/run/secrets', 'jenkins-token').text.trim()
def user = User.getById('sacristy', true)
def tokens = user.getProperty(ApiTokenProperty)
tokens.tokenStore.revokeAllTokens()
tokens.tokenStore.addFixedNewToken('sacristy', secret)
user.save()
