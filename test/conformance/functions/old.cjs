// A function in Node as CommonJS, with a callback.
exports.handler = (event, context, callback) => {
  setTimeout(() => callback(event.Fail ? new TypeError('no good') : null, { event }), 10)
}
exports.returnsNothing = () => {}
exports.throwsNow = () => { throw 'a string' }
exports.nested = { deep: async () => 'deep' }
