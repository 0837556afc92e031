// Functions in Node, for the conformance sessions: an ES module.
export const handler = async (event, context) => {
  console.log('hello from Node')
  if (event?.Fail) throw Object.assign(new Error('no good'), { name: 'Trouble' })
  return {
    event, requestId: context.awsRequestId, arn: context.invokedFunctionArn, version: context.functionVersion,
    mine: process.env.MINE ?? '', home: process.env.AWS_ENDPOINT_URL,
  }
}
export const rejects = async () => { Promise.reject(new Error('nobody waits')); await new Promise((r) => setTimeout(r, 1000)) }
