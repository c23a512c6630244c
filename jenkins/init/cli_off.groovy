// The command line over HTTP is off: everything here goes through the REST interface, with its permissions.
import hudson.cli.CLIAction
import hudson.model.RootAction
import jenkins.model.Jenkins

def server = Jenkins.get()
def actions = server.getExtensionList(RootAction)
actions.findAll { it instanceof CLIAction }.each { actions.remove(it) }
server.actions.findAll { it instanceof CLIAction }.each { server.actions.remove(it) }
