// Prints what a Jenkinsfile says as JSON: its steps with their stage, and each call's plain arguments. Nothing is run.
import groovy.json.JsonOutput
import org.codehaus.groovy.ast.CodeVisitorSupport
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.Phases

class Outline extends CodeVisitorSupport {
    List stages = []
    List calls = []

    void visitMethodCallExpression(MethodCallExpression call) {
        def name = call.methodAsString
        def values = call.arguments instanceof TupleExpression ? call.arguments.expressions : []
        def entry = [name: name, line: call.lineNumber, stage: stages.join('/'), kinds: [], values: [], named: [:]]
        values.each { value ->
            if (value instanceof MapExpression) {
                value.mapEntryExpressions.each { entry.named[it.keyExpression.text] = it.valueExpression.text }
            } else {
                entry.kinds << value.class.simpleName
                entry.values << (value instanceof ClosureExpression ? null : value.text)
            }
        }
        if (call.implicitThis) calls << entry
        def isStage = name == 'stage'
        if (isStage) stages << values[0].text
        super.visitMethodCallExpression(call)
        if (isStage) stages.remove(stages.size() - 1)
    }
}

def found = [:]
args.each { name ->
    def unit = new CompilationUnit(new CompilerConfiguration())
    unit.addSource(new File(name))
    unit.compile(Phases.CONVERSION)
    def outline = new Outline()
    unit.AST.modules.each { module -> module.statementBlock.visit(outline) }
    found[name] = outline.calls
}
println JsonOutput.toJson(found)
