// The API token of the user `sacristy` is the secret of that name: made by `sacristy init`, not by hand.
import hudson.model.User
import hudson.security.HudsonPrivateSecurityRealm
import java.security.SecureRandom
import jenkins.model.Jenkins
import jenkins.security.ApiTokenProperty

def realm = Jenkins.get().securityRealm
if (realm instanceof HudsonPrivateSecurityRealm) {
    // To this realm somebody without a password does not exist, and the right token is answered with status 500.
    def password = new byte[32]
    new SecureRandom().nextBytes(password)
    realm.createAccount('sacristy', password.encodeHex().toString())
}
def secret = new File(System.getenv('SECRETS') ?: '/run/secrets', 'jenkins-token').text.trim()
def user = User.getById('sacristy', true)
def tokens = user.getProperty(ApiTokenProperty)
tokens.tokenStore.revokeAllTokens()
tokens.tokenStore.addFixedNewToken('sacristy', secret)
user.save()
