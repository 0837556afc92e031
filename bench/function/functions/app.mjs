export const handler = async (event) => (event.Records ?? []).length
