export const dynamic = 'force-dynamic';

export default async function Page({ params }) {
  const { id } = await params;
  console.log('page', id);
  return <p>{id}</p>;
}
