// Bearer tokens, checked against the keys of the sign-in service.
const cds = require('@sap/cds')

let keys
module.exports = async function bearer(req, res, next) {
  const { createRemoteJWKSet, jwtVerify } = await import('jose')
  const [kind, token] = (req.headers.authorization || '').split(' ')
  if (kind !== 'Bearer' || !token) return res.set('www-authenticate', 'Bearer').status(401).end()
  keys ??= createRemoteJWKSet(new URL('/jwks', process.env.PEER_ISSUER))
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: process.env.PEER_ISSUER, audience: 'urn:kif:odata',
    })
    req.user = new cds.User({ id: payload.client_id, roles: ['authenticated-user'] })
  } catch (error) {
    return res.set('www-authenticate', `Bearer error="invalid_token", error_description="${error.code}"`).status(401).end()
  }
  next()
}
