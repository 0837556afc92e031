// Runs a Node function over the Lambda Runtime API.
import http from 'node:http'
import path from 'node:path'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'

const env = process.env
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(':')
const root = '/2018-06-01/runtime/'
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
let request = ''

function call(method, where, body, kind) {
  return new Promise((resolve, reject) => {
    const headers = {}
    if (body !== undefined) {
      headers['Content-Type'] = 'application/json'
      headers['Content-Length'] = Buffer.byteLength(body)
    }
    if (kind) headers['Lambda-Runtime-Function-Error-Type'] = kind.replace(/[^\x20-\x7e]/g, '?')
    const req = http.request({ host, port, method, path: root + where, headers, agent }, (res) => {
      const chunks = []
      res.on('data', (c) => chunks.push(c))
      res.on('end', () => resolve([res.headers, Buffer.concat(chunks)]))
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(body)
  })
}

// What is printed has the request's id, as AWS has it.
for (const [level, out] of [['log', 'INFO'], ['info', 'INFO'], ['debug', 'DEBUG'], ['warn', 'WARN'], ['error', 'ERROR'], ['trace', 'TRACE']]) {
  console[level] = (...args) => fs.writeSync(1, `${new Date().toISOString()}\t${request}\t${out}\t${format(...args)}\n`)
}

function named(name, message) {
  const e = new Error(message)
  e.name = name
  e.stack = `${name}: ${message}`
  return e
}

function describe(e) {
  if (e instanceof Error || (e && e.message !== undefined && e.stack !== undefined)) {
    return { errorType: String(e.name ?? 'Error'), errorMessage: String(e.message), trace: String(e.stack).split('\n') }
  }
  return { errorType: typeof e, errorMessage: typeof e === 'string' ? e : format(e), trace: [] }
}

async function load(handler) {
  const base = path.basename(handler)
  const dot = base.indexOf('.')
  if (dot < 1 || dot === base.length - 1) throw named('Runtime.MalformedHandlerName', 'Bad handler')
  const file = path.join(env.LAMBDA_TASK_ROOT, path.dirname(handler), base.slice(0, dot))
  const found = ['', '.js', '.mjs', '.cjs'].map((x) => file + x).find((x) => fs.statSync(x, { throwIfNoEntry: false })?.isFile())
  if (!found) throw named('Runtime.ImportModuleError', `Error: Cannot find module '${base.slice(0, dot)}'`)
  let module
  try {
    module = found.endsWith('.cjs') ? createRequire(import.meta.url)(found) : await import(pathToFileURL(found))
  } catch (e) {
    if (e instanceof SyntaxError) throw named('Runtime.UserCodeSyntaxError', `SyntaxError: ${e.message}`)
    if (e?.code === 'MODULE_NOT_FOUND' || e?.code === 'ERR_MODULE_NOT_FOUND') throw named('Runtime.ImportModuleError', `Error: ${e.message}`)
    throw e
  }
  const names = base.slice(dot + 1).split('.')
  const get = (o) => names.reduce((x, n) => x?.[n], o)
  const f = get(module) ?? get(module.default)
  if (f === undefined) throw named('Runtime.HandlerNotFound', `${handler} is undefined or not exported`)
  if (typeof f !== 'function') throw named('Runtime.HandlerNotFound', `${handler} is not a function`)
  return f
}

async function fatal(where, e) {
  const error = describe(e)
  console.error(where === 'init/error' ? 'Uncaught Exception' : 'Invoke Error', '\t' + JSON.stringify({ ...error, stack: error.trace, trace: undefined }))
  await call('POST', where, JSON.stringify(error), error.errorType)
}

let give // ends the invocation under way
process.on('uncaughtException', async (e) => {
  await fatal(request ? `invocation/${request}/error` : 'init/error', e)
  process.exit(129)
})
process.on('unhandledRejection', async (e) => {
  const inner = describe(e)
  const error = named('Runtime.UnhandledPromiseRejection', inner.errorType === 'Error' ? `Error: ${inner.errorMessage}` : `${inner.errorType}: ${inner.errorMessage}`)
  error.stack = [error.stack, ...inner.trace].join('\n')
  await fatal(request ? `invocation/${request}/error` : 'init/error', error)
  process.exit(128)
})

// What a function means by its end: a promise, the callback, or one of the old
// methods of the context.
function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    const deadline = Number(headers['lambda-runtime-deadline-ms'])
    const settle = (e, value) => {
      if (e !== undefined && e !== null) return reject(e)
      if (context.callbackWaitsForEmptyEventLoop) give = () => resolve(value)
      else resolve(value)
    }
    const context = {
      callbackWaitsForEmptyEventLoop: true,
      functionName: env.AWS_LAMBDA_FUNCTION_NAME, functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
      memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME, logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
      awsRequestId: request, invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      clientContext: headers['lambda-runtime-client-context'] && JSON.parse(headers['lambda-runtime-client-context']),
      getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
      succeed: (value) => resolve(value), fail: (e) => reject(e ?? 'handled'),
      done: (e, value) => (e === undefined || e === null ? resolve(value) : reject(e)),
    }
    const result = handler(event, context, settle)
    if (typeof result?.then === 'function') result.then(resolve, reject)
    // Without a promise and without a callback the end of all work is an answer of null.
    else give ??= () => resolve(null)
  })
}

process.on('beforeExit', () => { const end = give; give = undefined; end?.() })

let handler
try {
  handler = await load(env._HANDLER)
} catch (e) {
  await fatal('init/error', e)
  process.exit(1)
}
for (;;) {
  request = ''
  const [headers, event] = await call('GET', 'invocation/next')
  request = headers['lambda-runtime-aws-request-id']
  env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'] ?? ''
  give = undefined
  try {
    const value = await run(handler, JSON.parse(event), headers)
    let body
    try {
      body = JSON.stringify(value === undefined ? null : value) ?? 'null'
    } catch {
      throw named('Runtime.MarshalError', 'Unable to stringify response body')
    }
    await call('POST', `invocation/${request}/response`, body)
  } catch (e) {
    await fatal(`invocation/${request}/error`, e)
  }
}
